// Forms of writing and reading made into requests, and their replies into histories.

import { valueEnd } from '../../src/commands/elements.ts';
import { type Form, type Kind, LIFE } from './forms.ts';
import { ADD, DELETE, EXPIRY, History, MISSING, READ, WRITE } from './history.ts';
import type { Task } from './pipelined-client.ts';

/** A key and what was seen of it. */
export class Subject {
  readonly key: string;
  readonly kind: Kind;
  readonly history = new History();
  /** The last value that somebody was sent to write. */
  value = 0;
  /** Additions whose outcome is not known. */
  unknown = 0;

  constructor(kind: Kind, key: string) {
    this.kind = kind;
    this.key = key;
  }
}

/** What an MGET of several keys is called. */
export const SEVERAL = 'MGET of several';
/** How far apart the clocks and the rounding of servers and clients may be, in milliseconds. */
const SLACK = 10;

export function request(args: readonly string[]): string {
  let text = `*${args.length}\r\n`;
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`;
  return text;
}

/** The task that applies the form to the subject. `blind`: what it sees by writing is not the others' to know. */
export function taskOf(subject: Subject, { name, effect, requests, wanted }: Form, blind = false): Task {
  const { key, history } = subject;
  const writes = effect !== 'read' && effect !== 'measure';
  const removes = effect === 'remove' || effect === 'take';
  const id = writes ? ++subject.value : 0;
  const all = requests(key, String(id), `${key}:${id}`);
  return {
    text: all.map(request).join(''),
    replies: all.length,
    wanted: wanted ?? all.length - 1,
    invoked: 0,
    client: '',
    took(buf, start, end, responded) {
      const value = numberIn(buf, start, end);
      const { invoked, client } = this;
      const add = (kind: number, what: number) =>
        blind && kind === READ ? undefined : history.add(kind, what, invoked, responded, client, name);
      if (effect === 'copy' && value === 0) {
        this.lost();
        return;
      }
      if (effect === 'read' || effect === 'swap' || effect === 'take') {
        add(READ, value);
      } else if ((effect === 'measure' || effect === 'remove') && value === 0) {
        add(READ, MISSING);
      } else if (effect === 'if-missing') {
        if (value === 0) return;
        add(READ, MISSING);
      }
      if (effect === 'add') add(ADD, value);
      else if (removes) add(DELETE, id);
      else if (writes) add(WRITE, id);
      if (effect === 'passing') history.add(EXPIRY, id, invoked + LIFE - SLACK, responded + LIFE + SLACK);
    },
    lost() {
      if (!writes) return;
      if (effect === 'add') subject.unknown++;
      else if (removes) history.add(DELETE, id, this.invoked, Infinity, this.client, name);
      else history.add(WRITE, id, this.invoked, Infinity, this.client, name);
      if (effect === 'passing') history.add(EXPIRY, id, this.invoked + LIFE - SLACK, Infinity);
    },
  };
}

/** Reads several strings or counters at once. */
export function readAll(subjects: readonly Subject[]): Task {
  return {
    text: request(['MGET', ...subjects.map(({ key }) => key)]),
    replies: 1,
    wanted: 0,
    invoked: 0,
    client: '',
    took(buf, start, _, responded) {
      let at = buf.indexOf(10, start) + 1;
      for (const { history } of subjects) {
        const end = valueEnd(buf, at);
        history.add(READ, numberIn(buf, at, end), this.invoked, responded, this.client, SEVERAL);
        at = end;
      }
    },
    lost() {},
  };
}

/** Writes several different strings at once. */
export function writeAll(subjects: readonly Subject[]): Task {
  const ids = subjects.map((subject) => ++subject.value);
  const add = (invoked: number, responded: number, client: string) =>
    subjects.forEach(({ history }, i) => {
      history.add(WRITE, ids[i], invoked, responded, client, 'MSET of several');
    });
  return {
    text: request(['MSET', ...subjects.flatMap(({ key }, i) => [key, String(ids[i])])]),
    replies: 1,
    wanted: 0,
    invoked: 0,
    client: '',
    took(_, __, ___, responded) {
      add(this.invoked, responded, this.client);
    },
    lost() {
      add(this.invoked, Infinity, this.client);
    },
  };
}

const ZERO = 48;
const COLON = 58;

/** The number that the last string or integer of a reply begins with; MISSING for nulls and what is empty. */
export function numberIn(buf: Buffer, start: number, end: number): number {
  let at = end - 2;
  while (at > start && buf[at - 1] !== 10) at--;
  if (buf[at] === COLON) at++;
  let value = 0;
  for (; buf[at] >= ZERO && buf[at] < COLON; at++) value = value * 10 + buf[at] - ZERO;
  return value;
}
