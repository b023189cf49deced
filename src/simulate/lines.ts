// Cuts chunks into lines without copying those that lie in one chunk.

/** Of a longer line the rest is left out: it is a value. */
const LINE_MAX = 1 << 20;
const EMPTY = Buffer.alloc(0);

/** The line `buf[start, end)` without its line end; `cut`: it was longer. */
export type OnLine = (buf: Buffer, start: number, end: number, cut: boolean) => void;

export class LineSplitter {
  readonly #onLine: OnLine;
  /** Begin of a line whose end has not come: parts of it, and their bytes. */
  #parts: Buffer[] = [];
  #bytes = 0;
  #skipping = false;

  constructor(onLine: OnLine) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    if (this.#bytes > 0 || this.#skipping) {
      const end = chunk.indexOf(10);
      this.#keep(chunk.subarray(0, end < 0 ? chunk.length : end));
      if (end < 0) return;
      this.end();
      from = end + 1;
    }
    for (let end = chunk.indexOf(10, from); end >= 0; end = chunk.indexOf(10, from)) {
      this.#line(chunk, from, end, false);
      from = end + 1;
    }
    // What comes later may lie where this chunk lies.
    if (from < chunk.length) this.#keep(Buffer.from(chunk.subarray(from)));
  }

  /** The last line need not have an end. */
  end(): void {
    const rest = this.#take();
    if (rest.length > 0) this.#line(rest, 0, rest.length, false);
    this.#skipping = false;
  }

  #keep(part: Buffer): void {
    if (this.#skipping) return;
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes <= LINE_MAX) return;
    this.#line(this.#take(), 0, LINE_MAX, true);
    this.#skipping = true;
  }

  #take(): Buffer {
    const whole = this.#bytes === 0 ? EMPTY : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }

  #line(buf: Buffer, start: number, end: number, cut: boolean): void {
    const bare = !cut && end > start && buf[end - 1] === 13 ? end - 1 : end;
    this.#onLine(buf, start, bare, cut);
  }
}
