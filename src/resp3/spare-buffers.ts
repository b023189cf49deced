// Buffers for frames that are gathered from many chunks, used again and again: allocating one for each large value
// would leave the process with ever more memory in pieces that no other value fits into.

const SMALLEST = 64 * 1024;
const LARGEST = 2 * 1024 * 1024;
/** Spare ones of each size: 16 MiB of a thread at the most. */
const SPARES = 4;

/** By the power of two that their size is. */
const spares = new Map<number, Buffer[]>();

/** A buffer of at least that many bytes, with anything in it. */
export function takeBuffer(size: number): Buffer {
  if (size <= SMALLEST / 2 || size > LARGEST) return Buffer.allocUnsafeSlow(size);
  const whole = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(size)));
  return spares.get(whole)?.pop() ?? Buffer.allocUnsafeSlow(whole);
}

/** Gives back a buffer that nobody reads any more. */
export function giveBuffer(buffer: Buffer): void {
  const size = buffer.length;
  if (size < SMALLEST || size > LARGEST || (size & (size - 1)) !== 0) return;
  const alike = spares.get(size) ?? [];
  spares.set(size, alike);
  if (alike.length < SPARES) alike.push(buffer);
}
