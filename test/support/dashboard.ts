// The dashboard in a browser, with what stands behind it: heatsink at fixed addresses and a load of uneven reads.

import { Redis } from 'ioredis';
import type { Browser, Locator, Page } from 'playwright-core';
import { openPage } from './browser.ts';
import { type RunningProxy, startProxy } from './heatsink.ts';
import { freePort } from './wait.ts';

export const DESKTOP = { viewport: { width: 1440, height: 960 } };
export const PHONE = {
  viewport: { width: 360, height: 780 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** Read ever less often; the first are what somebody might store to harm whoever looks. */
export const KEYS = [
  '<img src=x onerror="window.harmed = true">',
  Buffer.from([0xff, 0x00, 0x3c, 0x62, 0x3e]),
  'abc\u202Etxt.exe',
  'product:1',
  'product:2',
  'product:3',
  'order:1',
  'order:2',
];

export interface AdminState {
  readonly tier: { readonly entries: number };
  readonly pinned: { readonly key: string; readonly encoding?: string }[];
  readonly banned: { readonly key: string; readonly encoding?: string }[];
}

export interface Dashboard {
  readonly page: Page;
  /** What the page complained of. */
  readonly complaints: readonly string[];
  /** The rows of the hot keys. */
  readonly rows: Locator;
  /** The row of the key with exactly that text. */
  row(text: string): Locator;
  /** The question before an action. */
  readonly dialog: Locator;
  readonly url: string;
  /** What /state says now. */
  state(): Promise<AdminState>;
  startLoad(): void;
  stopLoad(): void;
  /** Ends heatsink and its load; `start` brings both back at the same addresses. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts heatsink and its load, and opens the page. */
export async function openDashboard(
  browser: Browser,
  upstream: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Dashboard> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const addresses = { listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${adminPort}` };
  const flags = { ...addresses, 'hot-threshold': '40', ...more };
  let proxy: RunningProxy | null = null;
  let load: { stop(): void } | null = null;

  const stopLoad = () => load?.stop();
  const startLoad = () => {
    load = readUnevenly(port);
  };
  async function start() {
    proxy = await startProxy({ upstream, flags });
    startLoad();
  }
  async function stop() {
    stopLoad();
    await proxy?.close();
    proxy = null;
  }

  await start();
  const url = `http://127.0.0.1:${adminPort}/`;
  const { page, complaints } = await openPage(browser, url, DESKTOP);
  const rows = page.locator('#hot-rows tr');
  return {
    page,
    complaints,
    rows,
    row: (text) => rows.filter({ has: page.getByText(text, { exact: true }) }),
    dialog: page.locator('#confirm'),
    url,
    state: async () => (await proxy?.admin('/state'))?.body as AdminState,
    startLoad,
    stopLoad,
    start,
    stop,
    async close() {
      await page.context().close();
      await stop();
    },
  };
}

/** Some hundreds of reads a second in all. */
function readUnevenly(port: number): { stop(): void } {
  const client = new Redis({ port, enableReadyCheck: false });
  client.on('error', () => {});
  const timer = setInterval(() => {
    const pipeline = client.pipeline();
    for (const [i, key] of KEYS.entries()) for (let n = i; n < KEYS.length + 2; n++) pipeline.get(key);
    pipeline.exec().catch(() => {});
  }, 25);
  return {
    stop() {
      clearInterval(timer);
      client.disconnect();
    },
  };
}
