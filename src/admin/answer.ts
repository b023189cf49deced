// What the admin server answers with.

import type { ServerResponse } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export const TEXT = 'text/plain; charset=utf-8';

export function text(status: number, body: string): Answer {
  return { status, type: TEXT, body };
}

export function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Node leaves the body out for HEAD by itself. */
export function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': type, 'content-length': length, ...headers });
  response.end(body);
}
