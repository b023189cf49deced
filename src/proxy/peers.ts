// The other workers of this process, and what they are told and asked: the few things about clients that are not
// one worker's alone, such as CLIENT LIST, CLIENT PAUSE and CONFIG SET. Nothing of the data path goes this way.

import { BroadcastChannel } from 'node:worker_threads';

/** Milliseconds after which a question is answered without those who have said nothing. */
const PATIENCE = 2000;

/** What is sent: to everybody, or to the one that has asked. */
interface Message {
  readonly from: number;
  /** Null for all. */
  readonly to: number | null;
  readonly kind: string;
  /** Of a question and of its answers; 0 for what is only told. */
  readonly id: number;
  readonly answers: boolean;
  readonly body: unknown;
}

interface Question {
  readonly missing: Set<number>;
  readonly answers: unknown[];
  readonly done: () => void;
}

export type Handler = (body: never) => unknown;

/** What worker threads are given to find each other. */
export interface PeerMemory {
  readonly channel: string;
  /** By worker: 1 while it hears the others. */
  readonly present: SharedArrayBuffer;
}

export function peerMemory(channel: string, workers: number): PeerMemory {
  return { channel, present: new SharedArrayBuffer(workers * 4) };
}

export interface Peers {
  /** Whether there can be others at all. */
  readonly any: boolean;
  /** The number of this worker. */
  readonly self: number;
  /** How questions and news of that kind are answered here. What the handler returns, or resolves to, is the answer. */
  on(kind: string, handler: Handler): void;
  tell(kind: string, body: unknown): void;
  /** The answers of all others that are present, in no order; without those that say nothing for two seconds. */
  ask<Answer>(kind: string, body: unknown): Promise<Answer[]>;
  /** From now on the others wait for answers from here. */
  join(): void;
  close(): void;
}

/** For a worker that is the only one. */
export const NO_PEERS: Peers = {
  any: false,
  self: 0,
  on() {},
  tell() {},
  ask: () => Promise.resolve([]),
  join() {},
  close() {},
};

/** For worker number `self`, or for -1, who asks and is not asked. Bodies are cloned, so a Buffer arrives as bytes. */
export function connectPeers({ channel, present }: PeerMemory, self: number): Peers {
  const others = new Int32Array(present);
  const handlers = new Map<string, Handler>();
  const questions = new Map<number, Question>();
  const line = new BroadcastChannel(channel);
  let lastId = 0;

  function send(message: Omit<Message, 'from'>): void {
    line.postMessage({ ...message, from: self });
  }

  function answered(question: Question, from: number, body: unknown): void {
    if (question.missing.delete(from) && body !== undefined) question.answers.push(body);
    if (question.missing.size === 0) question.done();
  }

  async function handle({ from, kind, id, body }: Message): Promise<void> {
    const answer = await handlers.get(kind)?.(body as never);
    if (id !== 0) send({ to: from, kind, id, answers: true, body: answer });
  }

  line.onmessage = (event) => {
    const message = (event as MessageEvent).data as Message;
    if (message.to !== null && message.to !== self) return;
    if (!message.answers) {
      void handle(message);
      return;
    }
    const question = questions.get(message.id);
    if (question !== undefined) answered(question, message.from, message.body);
  };

  return {
    any: true,
    self,
    on: (kind, handler) => void handlers.set(kind, handler),
    tell: (kind, body) => send({ to: null, kind, id: 0, answers: false, body }),
    ask<Answer>(kind: string, body: unknown): Promise<Answer[]> {
      const missing = new Set<number>();
      for (let other = 0; other < others.length; other++)
        if (other !== self && Atomics.load(others, other) === 1) missing.add(other);
      if (missing.size === 0) return Promise.resolve([]);
      const id = ++lastId;
      return new Promise((resolve) => {
        const answers: Answer[] = [];
        const done = () => {
          clearTimeout(timer);
          questions.delete(id);
          resolve(answers);
        };
        const timer = setTimeout(done, PATIENCE);
        questions.set(id, { missing, answers, done });
        send({ to: null, kind, id, answers: false, body });
      });
    },
    join() {
      if (self >= 0) Atomics.store(others, self, 1);
      line.unref();
    },
    close() {
      if (self >= 0) Atomics.store(others, self, 0);
      line.close();
    },
  };
}
