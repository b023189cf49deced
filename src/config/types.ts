// The value types that options are made of: each reads what a flag, the environment or YAML holds.
// A type's description is the text that follows "accepted:" in messages and stands in the docs.

import { availableParallelism } from 'node:os';
import * as z from 'zod';
import { type HostPort, parseHostPort } from './host-port.ts';
import { parseUpstream, UPSTREAM_FORMS } from './upstream-url.ts';

/** YAML gives numbers and booleans where flags and the environment give text; from here on all are text. */
const text = z.union([z.string(), z.number(), z.boolean()]).transform((raw) => String(raw).trim());

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number) {
  return text
    .pipe(z.string().regex(min < 0 ? /^-?\d+$/ : /^\d+$/))
    .transform(Number)
    .pipe(z.number().min(min).max(max))
    .describe(`a whole number from ${min} to ${max}`);
}

/** The number of worker threads. */
export const workerCount = text
  .pipe(z.string().regex(/^(auto|\d+)$/))
  .transform((word) => (word === 'auto' ? availableParallelism() : Number(word)))
  .pipe(z.number().min(1).max(256))
  .describe('auto or a whole number from 1 to 256');

/** A number above 0 and up to 1. */
export const ratio = text
  .pipe(z.string().regex(/^(\d+\.?\d*|\.\d+)$/))
  .transform(Number)
  .pipe(z.number().positive().max(1))
  .describe('a number above 0 and up to 1');

/** A number from 0 to 1. */
export const share = text
  .pipe(z.string().regex(/^(\d+\.?\d*|\.\d+)(e-\d+)?$/))
  .transform(Number)
  .pipe(z.number().max(1))
  .describe('a number from 0 to 1');

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 2 ** 10,
  kib: 2 ** 10,
  m: 1e6,
  mb: 2 ** 20,
  mib: 2 ** 20,
  g: 1e9,
  gb: 2 ** 30,
  gib: 2 ** 30,
};

/** A size in bytes with the suffixes of redis.conf: k is 1000, kb and KiB are 1024; likewise m and g. */
export function bytes(min: number, max: number) {
  return text
    .transform((value, context) => {
      const size = readBytes(value);
      return size >= min && size <= max ? size : refuse(context, value);
    })
    .describe(`a size from ${formatBytes(min)} to ${formatBytes(max)}, such as 1048576, 512kb, 64MiB or 1gb`);
}

/** The same, or 0. */
export function bytesOrNone(min: number, max: number) {
  return text
    .transform((value, context) => {
      const size = readBytes(value);
      return size === 0 || (size >= min && size <= max) ? size : refuse(context, value);
    })
    .describe(`0 or a size from ${formatBytes(min)} to ${formatBytes(max)}, such as 512kb, 64MiB or 1gb`);
}

/** NaN for what is no size. */
function readBytes(value: string): number {
  const [, digits, suffix = ''] = /^(\d+) ?([a-z]*)$/i.exec(value) ?? [];
  return Number(digits) * (BYTES[suffix.toLowerCase()] ?? Number.NaN);
}

function formatBytes(size: number): string {
  const power = Math.min(3, Math.floor(Math.log2(size) / 10));
  return `${size / 1024 ** power} ${['bytes', 'KiB', 'MiB', 'GiB'][power]}`;
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return text.pipe(z.enum(words)).describe(`${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
}

/** on or off, as a boolean; YAML's true and false mean the same. */
export const onOff = text
  .pipe(z.enum(['on', 'off', 'true', 'false']))
  .transform((word) => word === 'on' || word === 'true')
  .describe('on or off');

/** Words that are taken as they are, or null where none are given. */
export function optional(description: string) {
  return z.union([z.null(), text.pipe(z.string().min(1))]).describe(description);
}

/** The name of a PEM file, or null. */
export const pemFile = optional('the name of a PEM file');

/** HOST:PORT to listen on, or null where none is named. */
export const optionalAddress = z
  .union([z.null(), text])
  .transform((value, context) => (value === null ? null : readAddress(value, context)))
  .describe('HOST:PORT');

/** HOST:PORT to listen on; port 0 takes a free one. */
export const address = text
  .transform(readAddress)
  .describe('HOST:PORT, such as 127.0.0.1:6380 or [::1]:6380');

/** HOST:PORT to listen on, or null for "off". */
export const addressOrOff = text
  .transform((value, context) => (value === 'off' || value === 'false' ? null : readAddress(value, context)))
  .describe('HOST:PORT or off');

/** HOST:PORT that others connect to, or null where none is named. */
export const addressOrNone = z
  .union([z.null(), text])
  .transform((value, context) => {
    if (value === null) return null;
    const read = parseHostPort(value);
    return read === null || read.port === 0 ? refuse(context, value) : read;
  })
  .describe('HOST:PORT, such as redis.example.com:6380');

function readAddress(value: string, context: z.core.$RefinementCtx): HostPort {
  return parseHostPort(value) ?? refuse(context, value);
}

/** Refuses a value for which what is accepted says all; an issue with a message of its own adds a reason. */
export function refuse(context: z.core.$RefinementCtx, input: string): never {
  context.addIssue({ code: 'invalid_format', format: 'option', input, message: 'not accepted' });
  return z.NEVER;
}

/** The upstream's URL, or null where none is named. */
export const upstreamUrl = z
  .union([z.null(), text])
  .transform((value, context) => {
    if (value === null) return null;
    try {
      return parseUpstream(value);
    } catch (error) {
      context.addIssue((error as Error).message);
      return z.NEVER;
    }
  })
  .describe(UPSTREAM_FORMS);

export const FAN_OUT = ['off', 'large', 'on'] as const;

export const CONSISTENCY = ['off', 'coalesce', 'tracked', 'ttl'] as const;
/** What heatsink may do with reads of a key besides forwarding them. */
export type Consistency = (typeof CONSISTENCY)[number];
