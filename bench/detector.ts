// What counting one key costs: the hash and the detector, beside a plain Map from key to count.
// Prints a Markdown section; `npm run bench` runs it as a part.

import { Detector } from '../src/hotkeys/detector.ts';
import { hashBytes } from '../src/resp3/hash.ts';
import { type Contender, nanosEach } from './micro.ts';
import { short, table } from './table.ts';

const KEYS = 1_000_000;
const KEY_BYTES = 16;
/** Reads a second that the detector's clock runs at; the real time of the loop would make every key hot. */
const READS_PER_MS = 1000;
/** Reads between two looks at the clock, as many as come in one pipelined chunk. */
const CHUNK = 64;

/** Keys one behind the other in the order of their reads, as in a socket's input; each is hot or random. */
function keys(hotShare: number): Buffer {
  const bytes = Buffer.alloc(KEYS * KEY_BYTES);
  for (let i = 0; i < KEYS; i++) {
    const id = Math.random() < hotShare ? 0 : Math.floor(Math.random() * KEYS);
    bytes.write(`key:${String(id).padStart(12, '0')}`, i * KEY_BYTES, 'latin1');
  }
  return bytes;
}

function hashOnly(bytes: Buffer): () => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return () => {
    let sum = 0;
    for (let at = 0; at < bytes.length; at += KEY_BYTES) sum += hashBytes(view, at, at + KEY_BYTES) & 1;
    return sum;
  };
}

function detector(bytes: Buffer): () => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const defaults = {
    threshold: 500,
    window: 1000,
    steps: 10,
    cool: 0.5,
    candidates: 4096,
    keep: { minHits: 3 },
  };
  const counting = new Detector({ ...defaults, cooling: () => {}, cooled: () => {} });
  let now = 0;
  return () => {
    let hot = 0;
    for (let i = 0; i < KEYS; i++) {
      if (i % CHUNK === 0) {
        now += CHUNK / READS_PER_MS;
        counting.advance(now);
      }
      const at = i * KEY_BYTES;
      const end = at + KEY_BYTES;
      if (counting.count(hashBytes(view, at, end), view, at, end) !== null) hot++;
    }
    return hot;
  };
}

function plainMap(bytes: Buffer): () => number {
  return () => {
    const counts = new Map<string, number>();
    for (let at = 0; at < bytes.length; at += KEY_BYTES) {
      const key = bytes.toString('latin1', at, at + KEY_BYTES);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts.size;
  };
}

const rows = (
  [
    ['1,000,000 random keys', 0],
    ['half of the reads on one key', 0.5],
    ['one hot key', 1],
  ] as const
).map(([name, hotShare]) => {
  const bytes = keys(hotShare);
  const contenders: Contender[] = [hashOnly, detector, plainMap].map((make) => ({
    name: make.name,
    run: make(bytes),
    units: KEYS,
  }));
  return [name, ...nanosEach(contenders).map(short)];
});

console.log(`## Detection

Nanoseconds to count one read of a 16-byte key, at ${READS_PER_MS / 1000} million reads a second. The Map counts without a window and
without a bound on its memory. One thread, medians of rounds in turn.

${table(['reads', 'hash', 'hash and detector', 'Map of strings'], rows)}`);
