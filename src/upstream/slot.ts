// The hash slot of a key in Redis Cluster, from raw bytes. A library would want a string or a copy per key;
// cluster-key-slot is this function's oracle in the tests.

export const SLOTS = 16384;

const CRC16 = crcTable();

/**
 * The slot (0 to 16,383) of the key `buf[start, end)`: CRC16 (XMODEM) of the key, or of what stands between its
 * first `{` and the next `}` when that is not empty.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export function slotOf(buf: Uint8Array, start: number, end: number): number {
  let from = start;
  let to = end;
  for (let at = start; at < end; at++) {
    if (buf[at] !== 0x7b) continue;
    let close = at + 1;
    while (close < end && buf[close] !== 0x7d) close++;
    if (close < end && close > at + 1) {
      from = at + 1;
      to = close;
    }
    break;
  }
  let crc = 0;
  for (let at = from; at < to; at++) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ buf[at]];
  return crc & (SLOTS - 1);
}

/** Keys of a few bytes that lie in a given set of slots, for probes and copies: tries counter values in turn. */
export function keyInSlots(prefix: string, wanted: (slot: number) => boolean): string | null {
  for (let n = 0; n < SLOTS * 64; n++) {
    const key = Buffer.from(`${prefix}{${n.toString(36)}}`);
    if (wanted(slotOf(key, 0, key.length))) return key.toString();
  }
  return null;
}

function crcTable(): Uint16Array {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc;
  }
  return table;
}
