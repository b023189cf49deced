// The admin server: metrics, health and hot keys over HTTP, for Prometheus, for orchestrators and for people.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { ACTION_PATHS } from './actions.ts';
import { type Answer, json, send, text } from './answer.ts';
import { serveAsset } from './assets.ts';
import { showHotKeys } from './hot-keys.ts';
import type { Live } from './live.ts';
import { createMetrics, METRICS, type MetricRow } from './metrics.ts';
import { showBigKeys, showSlowLog } from './seen.ts';
import type { AdminSource } from './snapshot.ts';

export interface AdminServer {
  /** `host:port` that it is bound to. */
  readonly address: string;
  close(): Promise<void>;
}

const INDEX = `heatsink
/metrics   Prometheus metrics
/healthz   200 while the process runs
/readyz    200 when clients can be served, else 503; the reasons as JSON
/hotkeys   the most read keys as JSON, ?top=N
/bigkeys   keys with large values as JSON, ?top=N
/slowlog   slow upstream commands as JSON, ?top=N
/help      this list
`;
const LIVE_INDEX = `/          the dashboard, for a browser
/state     all of that and the rates of the last second as JSON
/history   the rates of the last five minutes as JSON, one point a second
/events    /state each second, as Server-Sent Events
POST /keys/pin /keys/unpin /keys/ban /keys/unban   with {"key": "..."} as JSON
POST /tier/clear
`;

export interface AdminOptions {
  readonly rows?: readonly MetricRow[];
  /** What there is beyond metrics and health; null for what is no proxy. Is closed with the server. */
  readonly live?: Live | null;
}

/** Serves until `close`; rejects with the system's error when the address cannot be had. */
export async function startAdmin(
  source: AdminSource,
  at: { readonly host: string; readonly port: number },
  log: Logger,
  { rows = METRICS, live = null }: AdminOptions = {},
): Promise<AdminServer> {
  const index = live === null ? INDEX : INDEX + LIVE_INDEX;
  const metrics = createMetrics(source, rows);

  async function answer(url: URL): Promise<Answer> {
    switch (url.pathname) {
      case '/':
      case '/help':
        return text(200, index);
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.render() };
      case '/healthz':
        return text(200, 'ok\n');
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
      case '/state':
        return live === null ? missing(url) : live.state();
      case '/history':
        return live === null ? missing(url) : live.history();
      default:
        return missing(url);
    }
  }

  function missing({ pathname }: URL): Answer {
    return text(404, `there is no ${pathname}\n\n${index}`);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method } = request;
    const url = parseTarget(request.url ?? '/');
    if (url === null) return send(response, text(400, 'bad request target\n'));
    const { pathname } = url;
    const acts = live !== null && ACTION_PATHS.includes(pathname);
    if (acts && method === 'POST') return send(response, await live.actions(pathname, request));
    if (acts || (method !== 'GET' && method !== 'HEAD')) {
      const allow = acts ? 'POST' : 'GET, HEAD';
      return send(response, { ...text(405, `only ${allow} is served\n`), headers: { allow } });
    }
    if (live !== null && pathname === '/events' && method === 'GET') return live.events(request, response);
    if (live !== null && serveAsset(pathname, request, response)) return;
    send(response, await answer(url));
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      log.error({ reason: error.message, url: request.url }, 'the admin server failed');
      if (!response.headersSent) send(response, text(500, 'internal error\n'));
    });
  });
  await bind(server, at);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
    async close() {
      live?.close();
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
    return text(400, `top is ${JSON.stringify(asked)}, but must be a whole number from 1 up\n`);
  }
  return json(200, await show(top));
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
