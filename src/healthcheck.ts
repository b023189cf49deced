// Asks a running heatsink how it is, for whoever restarts it when it is not well.

import { formatHostPort, type HostPort } from './config/host-port.ts';

/** An answer that takes longer is none, in milliseconds. */
const PATIENCE = 2500;

/** The answer of its admin server; rejects with what is wrong when it is not well, or `ready` and not ready. */
export async function checkHealth(admin: HostPort, { ready }: { ready: boolean }): Promise<string> {
  const url = `http://${formatHostPort(reachable(admin))}/${ready ? 'readyz' : 'healthz'}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE) }).catch((error) => {
    throw new Error(`${url} does not answer: ${(error.cause ?? error).message}`);
  });
  const body = (await response.text()).trim();
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${body}`);
  return body;
}

/** Who listens on all addresses is asked over loopback. */
function reachable({ host, port }: HostPort): HostPort {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return host === '::' ? { host: '::1', port } : { host, port };
}
