// A round of heatsink drain inside the test's own process.

import { pino } from 'pino';
import { parseUpstream } from '../../src/config/upstream-url.ts';
import { type DrainPlan, runDrain } from '../../src/drain/drain.ts';
import { createStatus } from '../../src/drain/status.ts';

/** A Redis that needs neither certificates nor a login at sentinels. */
export function redisAt(url: string): DrainPlan['redis'] {
  return { to: parseUpstream(url), tls: null, sentinelLogin: { username: null, password: null } };
}

/** Whether the round went well. */
export function drainOnce(plan: DrainPlan): Promise<boolean> {
  const { signal } = new AbortController();
  return runDrain({ plan, status: createStatus(), log: pino({ level: 'silent' }), signal, once: true });
}
