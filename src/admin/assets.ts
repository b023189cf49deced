// The dashboard's files over HTTP: a fixed list, so that no path leads to any other file. Browsers keep them and ask
// whether they have changed, as a new version of heatsink comes at the same address.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';
const PAGE = 'text/html; charset=utf-8';
const IMAGE = 'image/svg+xml';

const SCRIPTS = [
  'actions',
  'by-hand',
  'chart',
  'charts',
  'confirm',
  'dom',
  'early-theme',
  'filter',
  'format',
  'glob',
  'history',
  'hot-key-row',
  'hot-keys',
  'key',
  'live',
  'loads',
  'main',
  'row-keys',
  'seen',
  'shards',
  'shortcuts',
  'status',
  'summary',
  'theme',
];
const STYLES = ['base', 'layout', 'panels', 'phone', 'tables'];

/** The URL and the type of what lies at each path. */
const FILES = new Map<string, readonly [url: string, type: string]>([
  ['/', [own('index.html'), PAGE]],
  ...SCRIPTS.map((name) => [`/assets/${name}.js`, [own(`${name}.js`), SCRIPT]] as const),
  ...STYLES.map((name) => [`/assets/${name}.css`, [own(`${name}.css`), STYLE]] as const),
  ['/assets/mark.svg', [own('mark.svg'), IMAGE]],
  ['/assets/uplot.js', [import.meta.resolve('uplot/dist/uPlot.esm.js'), SCRIPT]],
  ['/assets/uplot.css', [import.meta.resolve('uplot/dist/uPlot.min.css'), STYLE]],
]);

/** Nothing but what heatsink itself serves runs on the page, or is asked by it: keys are what anybody stored. */
const POLICY = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

interface Asset {
  readonly plain: Buffer;
  readonly zipped: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

const assets = new Map<string, Asset>();

/** Answers a GET or HEAD, unless there is no file of the dashboard at the path: then it is false. */
export function serveAsset(path: string, request: IncomingMessage, response: ServerResponse): boolean {
  const file = FILES.get(path);
  if (file === undefined) return false;
  const { plain, zipped, headers } = assets.get(path) ?? load(path, ...file);
  if (request.headers['if-none-match'] === headers.etag) {
    response.writeHead(304, headers).end();
    return true;
  }
  const unzips = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const body = unzips ? zipped : plain;
  response.writeHead(200, {
    ...headers,
    'content-length': body.length,
    ...(unzips && { 'content-encoding': 'gzip' }),
  });
  // Node leaves the body out for HEAD by itself.
  response.end(body);
  return true;
}

function own(name: string): string {
  return new URL(`./page/${name}`, import.meta.url).href;
}

/** Read when it is asked for first, and kept: all of them together are less than half a megabyte. */
function load(path: string, url: string, type: string): Asset {
  const plain = readFileSync(new URL(url));
  const digest = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  const headers = {
    ...POLICY,
    'content-type': type,
    'cache-control': 'no-cache',
    // Weak, as it is the same for the zipped file.
    etag: `W/"${digest}"`,
    vary: 'accept-encoding',
  };
  const asset = { plain, zipped: gzipSync(plain), headers };
  assets.set(path, asset);
  return asset;
}
