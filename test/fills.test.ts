// What the answer to a fill means for other fills, though it is not kept itself.

import { expect, it } from 'vitest';
import { Tier } from '../src/cache/tier.ts';
import { Versions } from '../src/cache/versions.ts';
import { Witness } from '../src/cache/witness.ts';
import { clock } from '../src/clock.ts';
import { CounterMemory } from '../src/counters.ts';
import { type FillOptions, Fills } from '../src/proxy/reads/fills.ts';
import { type Fill, type Request, takeRequest } from '../src/proxy/request.ts';
import { encodeRequest } from '../src/resp3/encode.ts';
import { hashBytes, viewOf } from '../src/resp3/hash.ts';
import { holdBytes } from '../src/upstream/outgoing.ts';
import { proofUntil } from '../src/upstream/redirected.ts';

const KEY = Buffer.from('key');
const KEY_HASH = hashBytes(viewOf(KEY), 0, KEY.length);
const HEAT: Fill['heat'] = {
  hot: true,
  unfitUntil: 0,
  writeHotUntil: 0,
  spare: false,
  hit() {},
  changed() {},
  gone() {},
};

function scene() {
  const counters = new CounterMemory(1).of(0);
  const versions = new Versions();
  const tier = new Tier({ maxBytes: 2 ** 20, maxEntryBytes: 2 ** 16, maxSpare: 0, versions, counters });
  const topology = { generation: 0, cluster: false } as FillOptions['topology'];
  const limits = { ttl: 60_000, maxStaleness: 1000, untrackedTtl: 1000, staleOnError: 0 };
  const rest = {} as Pick<FillOptions, 'lastValues' | 'rules' | 'planRefresh'>;
  const witness = new Witness(versions);
  const fills = new Fills({ tier, versions, witness, topology, counters, limits, ...rest });

  /** A fill that is sent now; what it gives takes its answer. */
  function send(): (reply: string) => void {
    const request: Request = takeRequest({ replied() {}, failed() {} });
    const bytes = encodeRequest(['HGET', KEY, 'v']);
    holdBytes(request, bytes, 0, bytes.length);
    request.keyHash = KEY_HASH;
    const fill: Fill = {
      heat: HEAT,
      proof: proofUntil(Number.POSITIVE_INFINITY),
      node: null,
      load: { requests: 0, spared: 0 },
      version: versions.of(KEY_HASH),
      epoch: versions.epoch(),
      generation: 0,
      sentAt: clock.tick(),
      ttl: 60_000,
      pttl: -1,
      refreshes: false,
    };
    return (reply) => fills.publish(request, fill, Buffer.from(reply), 0, reply.length);
  }
  return { versions, tier, send };
}

it('keeps an answer that nothing speaks against', () => {
  const { tier, send } = scene();
  send()('$3\r\n368\r\n');
  expect(tier.entries).toBe(1);
});

it('keeps nothing that an answer contradicts which came too late to be kept', () => {
  const { versions, tier, send } = scene();
  const late = send();
  versions.invalidate(KEY_HASH);
  const fresh = send();
  // The server has answered it last, as the key is gone by now; and a client knows.
  late('$-1\r\n');
  fresh('$3\r\n368\r\n');
  expect(tier.usage(KEY_HASH).entries).toBe(0);
});

it('ends what is kept when such an answer comes after it', () => {
  const { versions, tier, send } = scene();
  const late = send();
  versions.invalidate(KEY_HASH);
  send()('$3\r\n368\r\n');
  late('$-1\r\n');
  expect(tier.dropInvalid(KEY_HASH, clock.ms)).toBe(1);
});
