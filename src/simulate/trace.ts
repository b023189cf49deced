// Opens a trace, plain or packed, finds out its format, and hands it on line by line in bounded memory.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { ConfigError } from '../config/load.ts';
import { type Access, MALFORMED, NOTHING, REQUEST, type TraceReader } from './access.ts';
import { knownCommands } from './known-commands.ts';
import { LineSplitter } from './lines.ts';
import { MonitorReader } from './monitor.ts';
import { MAGIC, mastersOf, RecordingReader } from './recording.ts';
import { TwitterReader } from './twitter.ts';

export const FORMATS = ['monitor', 'twitter', 'heatsink'] as const;
export type Format = (typeof FORMATS)[number];

const CHUNK = 1 << 18;
/** Lines after which a trace of which most could not be read is given up. */
const ENOUGH = 1000;
/** Lines among which one must tell the format. */
const SNIFFED = 20;

export interface TraceInfo {
  readonly format: Format;
  lines: number;
  malformed: number;
  /** Lines that are not about keys. */
  unrelated: number;
  /** `FILE:LINE` of the first malformed one. */
  firstMalformed: string | null;
  /** Masters that it was recorded of; null where it does not say. */
  masters: number | null;
}

export interface TraceOptions {
  /** A file, or `-` for standard input. */
  readonly file: string;
  /** Null: to be found out. */
  readonly format: Format | null;
  /** A request, or the size of a reply. */
  readonly seen: (access: Access, isRequest: boolean, info: TraceInfo) => void;
  /** Of the file, so far; `total` is null when nobody knows. */
  readonly progress: (bytes: number, total: number | null) => void;
}

/** Reads it all. Throws a ConfigError that names file and line when it cannot be read, or most of it is malformed. */
export async function readTrace(options: TraceOptions): Promise<TraceInfo> {
  const name = options.file === '-' ? 'standard input' : options.file;
  let reading: Reading | null = null;
  let read = 0;
  const total = await sizeOf(options.file);
  const raw = counted(
    options.file === '-' ? process.stdin : createReadStream(options.file, { highWaterMark: CHUNK }),
    (bytes) => {
      read += bytes;
    },
  );
  try {
    for await (const chunk of await unpacked(raw)) {
      reading ??= new Reading(name, chunk, options);
      reading.push(chunk);
      options.progress(read, total);
    }
  } catch (error) {
    throw failure(error as NodeJS.ErrnoException, name, reading);
  }
  if (reading === null) throw new ConfigError([`${name}: it is empty`]);
  reading.end();
  options.progress(read, total);
  return reading.info;
}

class Reading {
  readonly info: TraceInfo;
  readonly #name: string;
  readonly #reader: TraceReader;
  readonly #seen: TraceOptions['seen'];
  readonly #lines = new LineSplitter((buf, start, end, cut) => this.#line(buf, start, end, cut));

  constructor(name: string, chunk: Buffer, { format: asked, seen }: TraceOptions) {
    const format = asked ?? recognise(chunk.toString('latin1', 0, 1 << 16).split(/\r?\n/, SNIFFED));
    if (format === null) {
      const formats = 'lines of MONITOR, of a Twitter cache trace (CSV with 7 columns) or of heatsink record';
      throw new ConfigError([`${name}:1: its format is not known; accepted: ${formats}`]);
    }
    const masters =
      format === 'heatsink' ? mastersOf(chunk.toString('latin1', 0, 200).split('\n', 1)[0]) : null;
    if (format === 'heatsink' && masters === null)
      throw new ConfigError([`${name}:1: not accepted; accepted: heatsink-trace 1 masters=N`]);
    this.info = { format, lines: 0, malformed: 0, unrelated: 0, firstMalformed: null, masters };
    this.#name = name;
    this.#reader = readerOf(format);
    this.#seen = seen;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
    const { info } = this;
    if (info.malformed * 2 > info.lines) this.#giveUp();
  }

  #line(buf: Buffer, start: number, end: number, cut: boolean): void {
    const { info } = this;
    info.lines++;
    if (info.lines === 1 && info.masters !== null) return;
    const seen = this.#reader.read(buf, start, end, cut);
    if (seen === NOTHING) info.unrelated++;
    else if (seen !== MALFORMED) this.#seen(this.#reader.access, seen === REQUEST, info);
    else {
      info.malformed++;
      info.firstMalformed ??= `${this.#name}:${info.lines}`;
      if (info.lines >= ENOUGH && info.malformed * 2 > info.lines) this.#giveUp();
    }
  }

  #giveUp(): never {
    const { format, firstMalformed, malformed, lines } = this.info;
    throw new ConfigError([
      `${firstMalformed}: not a line of the format ${format}, as are ${malformed} of ${lines} lines`,
    ]);
  }
}

const EMPTY = Buffer.alloc(0);

/** The format that lines are of, by the first that is of any. */
function recognise(lines: readonly string[]): Format | null {
  if (lines[0].startsWith(MAGIC)) return 'heatsink';
  for (const line of lines) {
    if (/^\+?\d+\.\d+ \[\d+ [^\]]*\] "/.test(line)) return 'monitor';
    if (/^\d+,[^,]*,\d+,\d+,[^,]*,[a-z]+,[^,]*$/.test(line)) return 'twitter';
  }
  return null;
}

function readerOf(format: Format): TraceReader {
  if (format === 'twitter') return new TwitterReader();
  const table = knownCommands();
  return format === 'monitor' ? new MonitorReader(table) : new RecordingReader(table);
}

async function sizeOf(file: string): Promise<number | null> {
  if (file === '-') return null;
  try {
    const { size } = await stat(file);
    return size > 0 ? size : null;
  } catch (error) {
    throw failure(error as NodeJS.ErrnoException, file, null);
  }
}

async function* counted(input: AsyncIterable<Buffer>, read: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of input) {
    read(chunk.length);
    yield chunk;
  }
}

/** The bytes as they were before gzip or zstd, if they were packed so. */
async function unpacked(raw: AsyncGenerator<Buffer>): Promise<AsyncIterable<Buffer>> {
  const { value: first = EMPTY } = await raw.next();
  async function* whole(): AsyncGenerator<Buffer> {
    if (first.length > 0) yield first;
    yield* raw;
  }
  const unpack = unpackerOf(first);
  if (unpack === null) return whole();
  const packed = Readable.from(whole());
  packed.on('error', (error) => unpack.destroy(error));
  return packed.pipe(unpack);
}

function unpackerOf(first: Buffer): Transform | null {
  if (first[0] === 0x1f && first[1] === 0x8b) return zlib.createGunzip({ chunkSize: CHUNK });
  if (first.length < 4 || first.readUInt32LE(0) !== 0xfd2fb528) return null;
  // Not in every Node that heatsink runs under.
  if (zlib.createZstdDecompress === undefined)
    throw new ConfigError([
      'it is packed with zstd, which this Node cannot read: zstd -dc FILE | heatsink simulate -',
    ]);
  return zlib.createZstdDecompress({ chunkSize: CHUNK });
}

function failure(error: NodeJS.ErrnoException, name: string, reading: Reading | null): Error {
  if (error instanceof ConfigError) return error;
  const { code = '', message } = error;
  if (code === 'ENOENT')
    return new ConfigError([`cannot read ${JSON.stringify(name)}: there is no such file`]);
  const at = reading === null ? name : `${name}:${reading.info.lines}`;
  if (code.startsWith('Z_') || code.startsWith('ZSTD_'))
    return new ConfigError([`${at}: what is packed in it cannot be read on from here: ${message}`]);
  return code === '' ? error : new ConfigError([`cannot read ${JSON.stringify(name)}: ${message}`]);
}
