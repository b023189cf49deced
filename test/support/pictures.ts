// The dashboard's pictures for the documentation, in a flash sale of the demo.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { openPage } from './browser.ts';
import { startChild } from './children.ts';
import { DESKTOP, PHONE } from './dashboard.ts';
import { freePort, waitFor } from './wait.ts';

const LOOKS = {
  'dashboard-light': { ...DESKTOP, colorScheme: 'light' },
  'dashboard-dark': { ...DESKTOP, colorScheme: 'dark' },
  'dashboard-phone': { ...PHONE, colorScheme: 'light' },
} as const;

/** Writes NAME.png for each look into the folder; takes a little less than two minutes. */
export async function takePictures(browser: Browser, folder: string): Promise<void> {
  const [port, admin] = [await freePort(), await freePort()];
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  const flags = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--workers', '2'];
  // Long enough for charts that show calm and sale several times.
  const demo = await startChild(process.execPath, [cli, 'demo', ...flags], {
    ready: (output) => /^ +84 s /m.test(output),
    timeoutMs: 150_000,
  });
  // A page that opens takes time from the demo, which would show.
  const pages = new Map<string, Page>();
  for (const [name, look] of Object.entries(LOOKS)) {
    pages.set(name, (await openPage(browser, `http://127.0.0.1:${admin}/`, look)).page);
  }
  await waitFor(() => /^ +96 s SALE/m.test(demo.output()), 30_000);
  for (const [name, page] of pages) await page.screenshot({ path: join(folder, `${name}.png`) });
  await demo.stop('SIGINT');
}
