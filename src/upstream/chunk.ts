// Memory for bytes on their way out, kept until the calls that lie in it are answered.

/** A piece of outgoing memory; `users` counts the calls whose bytes lie in it. */
export class Chunk {
  readonly buf: Buffer;
  users = 0;
  constructor(size: number) {
    this.buf = Buffer.allocUnsafeSlow(size);
  }
}
