// The scripts that went by in EVAL and SCRIPT LOAD on a cluster. Each shard has a script cache of its own, and
// clients that see one server take it that a script known there is known everywhere: so heatsink loads it where it
// is missing, ahead of the first EVALSHA, or when a shard has lost it. Workers tell each other what they see; one that
// is new learns of what comes from then on. https://redis.io/docs/latest/develop/interact/programmability/eval-intro/#script-cache

import { createHash } from 'node:crypto';
import { argumentText } from '../../commands/argument.ts';
import { encodeRequest } from '../../resp3/encode.ts';
import { hashBytes, viewOf } from '../../resp3/hash.ts';
import { TYPE } from '../../resp3/reply-frame.ts';
import { RequestFrame } from '../../resp3/request-frame.ts';
import { Call, type CallOwner, type Carrier } from '../../upstream/call.ts';
import { releaseBytes } from '../../upstream/outgoing.ts';
import type { Peers } from '../peers.ts';

/** Most scripts and bytes of scripts that are remembered; beyond, the oldest are forgotten. */
const SCRIPTS_MAX = 2048;
const BYTES_MAX = 16 * 1024 * 1024;
/** The server's own words: a script's own error must not make heatsink run it twice. */
const NOSCRIPT = '-NOSCRIPT No matching script';
const UNFIT = '-ERR Error compiling script';
const EVALSHA = /^evalsha(_ro)?$/i;

export interface Script {
  readonly hash: number;
  readonly body: Buffer;
  /** In lower-case hexadecimals; empty until somebody asks for a script by it: most are never called that way. */
  sha: string;
  /** SCRIPT LOAD of the body. */
  readonly load: Buffer;
}

export class Scripts {
  readonly #byHash = new Map<number, Script>();
  readonly #bySha = new Map<string, Script>();
  readonly #withoutSha = new Set<Script>();
  /** What was loaded where, by `host:port`. */
  readonly #loaded = new Map<string, Set<Script>>();
  #bytes = 0;

  get size(): number {
    return this.#byHash.size;
  }

  readonly #peers: Peers;

  constructor(peers: Peers) {
    this.#peers = peers;
    peers.on('script', (bytes: Uint8Array) => {
      const body = Buffer.from(bytes);
      const hash = hashBytes(viewOf(body), 0, body.length);
      if (!this.#byHash.has(hash)) this.#keep(body, hash);
    });
    peers.on('scripts flushed', () => this.#clear());
  }

  /** Keeps the body `buf[start, end)`, unless it is known. Two bodies of one hash are as one: the second is not kept. */
  remember(buf: Buffer, view: DataView, start: number, end: number): void {
    const hash = hashBytes(view, start, end);
    if (this.#byHash.has(hash) || end - start > BYTES_MAX) return;
    const body = Buffer.from(buf.subarray(start, end));
    this.#keep(body, hash);
    this.#peers.tell('script', body);
  }

  #keep(body: Buffer, hash: number): void {
    const script: Script = { hash, body, sha: '', load: encodeRequest(['SCRIPT', 'LOAD', body]) };
    this.#byHash.set(hash, script);
    this.#withoutSha.add(script);
    this.#bytes += sizeOf(script);
    for (const oldest of this.#byHash.values()) {
      if (this.size <= SCRIPTS_MAX && this.#bytes <= BYTES_MAX) break;
      this.#forget(oldest);
    }
  }

  /** The script of that SHA1, in either case. */
  find(sha: string): Script | null {
    for (const script of this.#withoutSha) {
      script.sha = createHash('sha1').update(script.body).digest('hex');
      this.#bySha.set(script.sha, script);
    }
    this.#withoutSha.clear();
    return this.#bySha.get(sha.toLowerCase()) ?? null;
  }

  clear(): void {
    this.#clear();
    this.#peers.tell('scripts flushed', null);
  }

  #clear(): void {
    this.#byHash.clear();
    this.#bySha.clear();
    this.#withoutSha.clear();
    this.#loaded.clear();
    this.#bytes = 0;
  }

  /** Sends the script to that node ahead of what is sent there next, unless it was sent before. */
  ahead(script: Script, lane: Carrier): void {
    const { host, port } = lane.options;
    const address = `${host}:${port}`;
    const there = this.#loaded.get(address) ?? new Set();
    if (there.has(script)) return;
    this.#loaded.set(address, there.add(script));
    lane.send(new Call(this.#owner(script, there)), script.load, 0, script.load.length);
    lane.seal();
  }

  /**
   * Whether the reply at `start` says that the script of an EVALSHA is missing, which was not executed then, and the
   * script is on its way: now the call may be sent once more.
   */
  reload(call: Call, buf: Buffer, start: number): boolean {
    if (this.size === 0 || call.chunk === null) return false;
    if (buf.toString('latin1', start, start + NOSCRIPT.length) !== NOSCRIPT) return false;
    const frame = new RequestFrame();
    const bytes = call.chunk.buf;
    frame.read(bytes, viewOf(bytes), call.offset, call.offset + call.length);
    if (frame.argc < 2 || !EVALSHA.test(argumentText(frame, 0))) return false;
    const script = this.find(argumentText(frame, 1));
    if (script === null) return false;
    const lane = call.lane as Carrier;
    // A server that has lost one has lost all: it was started again or flushed.
    this.#loaded.delete(`${lane.options.host}:${lane.options.port}`);
    this.ahead(script, lane);
    return true;
  }

  #owner(script: Script, there: Set<Script>): CallOwner {
    return {
      replied: (call, buf, start, end) => {
        releaseBytes(call);
        if (buf[start] !== TYPE.error) return;
        there.delete(script);
        // A body that does not compile is no script; another error may be gone the next time.
        if (buf.toString('latin1', start, end).startsWith(UNFIT)) this.#forget(script);
      },
      failed: (call) => {
        releaseBytes(call);
        there.delete(script);
      },
    };
  }

  #forget(script: Script): void {
    if (this.#byHash.get(script.hash) !== script) return;
    this.#byHash.delete(script.hash);
    this.#bySha.delete(script.sha);
    this.#withoutSha.delete(script);
    for (const there of this.#loaded.values()) there.delete(script);
    this.#bytes -= sizeOf(script);
  }
}

function sizeOf({ body, load }: Script): number {
  return body.length + load.length;
}
