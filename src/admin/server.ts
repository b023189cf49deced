// The admin server: metrics, health and hot keys over HTTP, for Prometheus, for orchestrators and for people.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { showHotKeys } from './hot-keys.ts';
import { createMetrics, METRICS } from './metrics.ts';
import { showBigKeys, showSlowLog } from './seen.ts';
import type { AdminSource } from './snapshot.ts';

export interface AdminServer {
  /** `host:port` that it is bound to. */
  readonly address: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';

const INDEX = `heatsink
/metrics   Prometheus metrics
/healthz   200 while the process runs
/readyz    200 when clients can be served, else 503; the reasons as JSON
/hotkeys   the most read keys as JSON, ?top=N
/bigkeys   keys with large values as JSON, ?top=N
/slowlog   slow upstream commands as JSON, ?top=N
`;

/** Serves until `close`; rejects with the system's error when the address cannot be had. */
export async function startAdmin(
  source: AdminSource,
  at: { readonly host: string; readonly port: number },
  log: Logger,
  rows = METRICS,
): Promise<AdminServer> {
  const metrics = createMetrics(source, rows);

  async function answer(url: URL): Promise<Answer> {
    switch (url.pathname) {
      case '/':
        return { status: 200, type: TEXT, body: INDEX };
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.render() };
      case '/healthz':
        return { status: 200, type: TEXT, body: 'ok\n' };
      case '/readyz': {
        const { ready, reasons } = await source.snapshot();
        return json(ready ? 200 : 503, { ready, reasons });
      }
      case '/hotkeys':
        return showTop(url, async (top = source.info.top) =>
          showHotKeys(await source.hotKeys(top), source.info),
        );
      case '/bigkeys':
        return showTop(url, async (top) => showBigKeys(await source.bigKeys(top)));
      case '/slowlog':
        return showTop(url, async (top) => showSlowLog(await source.slowCommands(top)));
      default:
        return { status: 404, type: TEXT, body: `there is no ${url.pathname}\n\n${INDEX}` };
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      send(response, { status: 405, type: TEXT, body: 'only GET and HEAD are served\n' });
      return;
    }
    const url = parseTarget(request.url ?? '/');
    send(
      response,
      url === null ? { status: 400, type: TEXT, body: 'bad request target\n' } : await answer(url),
    );
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      log.error({ reason: error.message, url: request.url }, 'the admin server failed');
      if (!response.headersSent) send(response, { status: 500, type: TEXT, body: 'internal error\n' });
    });
  });
  await bind(server, at);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
    async close() {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

/**
 * The request target as a URL; null when it is none.
 * https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
function parseTarget(target: string): URL | null {
  // Put together by hand, since against a base '//metrics' would be a host and not a path.
  return URL.parse(target.startsWith('/') ? `http://heatsink${target}` : target, 'http://heatsink');
}

/** `show` gets the number that the target asks for, if it does. */
async function showTop(url: URL, show: (top?: number) => Promise<object>): Promise<Answer> {
  const asked = url.searchParams.get('top');
  const top = asked === null ? undefined : Number(asked);
  if (top !== undefined && (!Number.isInteger(top) || top < 1)) {
    return {
      status: 400,
      type: TEXT,
      body: `top is ${JSON.stringify(asked)}, but must be a whole number from 1 up\n`,
    };
  }
  return json(200, await show(top));
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Node leaves the body out for HEAD by itself. */
function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

async function bind(server: Server, at: { readonly host: string; readonly port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
