// The dashboard in a real Chromium, in front of a real cluster under load. What is clicked is checked by the admin API.
// With HEATSINK_SCREENSHOTS set to a folder it takes the pictures of the documentation instead.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPage, startBrowser } from './support/browser.ts';
import { startChild } from './support/children.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type Cluster, freePort, startCluster, startRedis, waitFor } from './support/redis.ts';

const PICTURES = process.env.HEATSINK_SCREENSHOTS;
const TOKEN = 'open-sesame';
const DESKTOP = { viewport: { width: 1440, height: 960 } };
const PHONE = { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** Read ever less often; the first are what somebody might store to harm whoever looks. */
const KEYS = [
  '<img src=x onerror="window.harmed = true">',
  Buffer.from([0xff, 0x00, 0x3c, 0x62, 0x3e]),
  'abc\u202Etxt.exe',
  'product:1',
  'product:2',
  'product:3',
  'order:1',
  'order:2',
];

interface State {
  readonly tier: { readonly entries: number };
  readonly pinned: { readonly key: string; readonly encoding?: string }[];
  readonly banned: { readonly key: string; readonly encoding?: string }[];
}

let browser: Browser;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

if (PICTURES === undefined) describe('the dashboard', clickThrough);
else describe('screenshots', takePictures);

function clickThrough(): void {
  let cluster: Cluster;
  let proxy: RunningProxy;
  let ports: { listen: string; admin: string };
  let load: { stop(): void };
  let page: Page;
  let complaints: readonly string[];

  const start = () =>
    startProxy({
      upstream: cluster.url,
      flags: { ...ports, 'admin-token': TOKEN, 'hot-threshold': '40' },
    });
  const url = () => `http://${ports.admin}/`;
  const state = async () => (await proxy.admin('/state')).body as State;
  const rows = (within = page) => within.locator('#hot-rows tr');
  const row = (text: string) => rows().filter({ has: page.getByText(text, { exact: true }) });
  const dialog = () => page.locator('#confirm');

  beforeAll(async () => {
    ports = { listen: `127.0.0.1:${await freePort()}`, admin: `127.0.0.1:${await freePort()}` };
    cluster = await startCluster();
    proxy = await start();
    load = startLoad(Number(ports.listen.split(':')[1]));
    ({ page, complaints } = await openPage(browser, url(), DESKTOP));
  });
  afterAll(async () => {
    await page?.context().close();
    load?.stop();
    await proxy?.close();
    await cluster?.stop();
  });

  it('shows what is hot and what is done about it, live', async () => {
    await row('product:1').getByText('from memory').waitFor();
    await expect.poll(() => page.locator('#live').textContent()).toBe('live');
    await expect.poll(() => page.locator('#shard-list li .badge.good').count()).toBe(3);
    const rate = () => page.locator('#total-value').textContent();
    await expect.poll(async () => Number(`${await rate()}`.replace(',', ''))).toBeGreaterThan(100);
    await expect.poll(() => page.locator('#hits-value').textContent()).toMatch(/^\d+\.\d %$/);
    // Ranked by reads, and the charts have drawn something.
    await expect.poll(() => rows().nth(3).locator('.key').textContent()).toBe('product:1');
    expect(await page.locator('.plot canvas').count()).toBe(5);
    await expect.poll(() => page.locator('#requests .legend').textContent()).toMatch(/from memory [1-9]/);
  });

  it('shows keys as text, whatever they are', async () => {
    await row('<img src=x onerror="window.harmed = true">').waitFor();
    await row('\\xff\\x00<b>').getByText('binary').waitFor();
    await row('abc\\u{202e}txt.exe').waitFor();
    expect(await page.locator('#hot-rows img, #hot-rows b').count()).toBe(0);
    expect(await page.evaluate('window.harmed')).toBeUndefined();
  });

  it('filters by pattern or a part of the name, and offers what to do when nothing is left', async () => {
    const filter = page.locator('#filter');
    await filter.fill('product:[1-2]');
    await expect.poll(() => rows().count()).toBe(2);
    await filter.fill('rder:');
    await expect.poll(() => rows().locator('.key').allTextContents()).toEqual(['order:1', 'order:2']);
    await filter.fill('sale:tomorrow');
    await page.locator('#hot-offer').getByRole('button', { name: 'Pin it' }).waitFor();
    expect(await rows().count()).toBe(0);
    await filter.press('Escape');
    await expect.poll(() => rows().count()).toBe(KEYS.length);
  });

  it('understands patterns as KEYS does', async () => {
    const redis = await startRedis();
    const names = [
      'a',
      'ab',
      'abc',
      'b',
      'a*c',
      'a[b]',
      'a^c',
      'x-y',
      'é',
      'a\\b',
      'hello',
      'hallo',
      'hxllo',
    ];
    for (const name of names) await redis.call('SET', name, '1');
    const patterns = [
      '*',
      'a*',
      '*b*',
      'a?',
      '?',
      '??',
      'h[ae]llo',
      'h[^e]llo',
      'h[a-e]llo',
      'h[e-a]llo',
    ].concat([
      'a\\*c',
      'a\\[b\\]',
      'a[\\^]c',
      'a[b',
      '[^',
      'x[a-]y',
      'a\\\\b',
      '**a**c',
      'h*l*o',
      'a[]b',
      '[a-',
      '\\',
    ]);
    const matched = (await page.evaluate(
      `import('./assets/glob.js').then(({ isPattern, createMatcher }) => {
        const bytes = (text) => new TextEncoder().encode(text);
        return ${JSON.stringify(patterns)}.map((pattern) => {
          const matches = createMatcher(pattern);
          return isPattern(pattern) && ${JSON.stringify(names)}.filter((name) => matches(bytes(name)));
        });
      })`,
    )) as string[][];
    for (const [i, pattern] of patterns.entries()) {
      const expected = (await redis.call('KEYS', pattern)) as string[];
      expect([pattern, [...matched[i]].sort()]).toEqual([pattern, expected.sort()]);
    }
    await redis.stop();
  });

  it('asks before it acts, wants the admin token once, and says when it is wrong', async () => {
    await row('product:2').getByRole('button', { name: 'Ban' }).click();
    expect(await dialog().locator('#confirm-key').textContent()).toBe('product:2');
    await dialog().locator('#token').fill('wrong');
    await dialog().getByRole('button', { name: 'Ban' }).click();
    await dialog().getByText('does not accept this token').waitFor();
    expect((await state()).banned).toEqual([]);
    await dialog().locator('#token').fill(TOKEN);
    await dialog().getByRole('button', { name: 'Ban' }).click();
    await dialog().waitFor({ state: 'hidden' });
    expect((await state()).banned).toEqual([{ key: 'product:2' }]);
    await row('product:2').getByText('banned').waitFor();
    await row('product:2').getByRole('button', { name: 'Lift ban' }).click();
    expect(await dialog().locator('#token').isVisible()).toBe(false);
    await dialog().getByRole('button', { name: 'Lift the ban' }).click();
    await expect.poll(async () => (await state()).banned).toEqual([]);
    await row('product:2').getByText('from memory').waitFor();
  });

  it('pins and unpins keys, binary ones and cold ones too', async () => {
    await row('\\xff\\x00<b>').getByRole('button', { name: 'Pin' }).click();
    await dialog().getByRole('button', { name: 'Pin' }).click();
    await row('\\xff\\x00<b>').getByText('pinned').waitFor();
    await page.locator('#filter').fill('sale:tomorrow');
    await page.getByRole('button', { name: 'Pin it' }).click();
    await dialog().getByRole('button', { name: 'Pin' }).click();
    await page.locator('#by-hand-list').getByText('sale:tomorrow').waitFor();
    const pinned = [{ key: '/wA8Yj4=', encoding: 'base64' }, { key: 'sale:tomorrow' }];
    expect((await state()).pinned).toEqual(pinned);
    await page.locator('#filter').fill('');
    for (const name of ['sale:tomorrow', '\\xff\\x00<b>']) {
      await page
        .locator('#by-hand-list')
        .getByRole('button', { name: `Unpin ${name}` })
        .click();
      await dialog().getByRole('button', { name: 'Unpin' }).click();
      await page.locator('#by-hand-list').getByText(name).waitFor({ state: 'detached' });
    }
    expect((await state()).pinned).toEqual([]);
  });

  it('does nothing when the answer is no', async () => {
    await row('order:1').getByRole('button', { name: 'Ban' }).click();
    await dialog().getByRole('button', { name: 'Cancel' }).click();
    await row('order:1').getByRole('button', { name: 'Pin' }).click();
    await page.keyboard.press('Escape');
    await dialog().waitFor({ state: 'hidden' });
    expect(await state()).toMatchObject({ pinned: [], banned: [] });
  });

  it('can be used by the keyboard alone', async () => {
    await page.mouse.move(0, 0);
    await page.keyboard.press('/');
    await page.keyboard.type('product:*');
    await expect.poll(() => rows().count()).toBe(3);
    await rows().first().focus();
    await page.keyboard.press('ArrowDown');
    const key = String(await page.locator('#hot-rows tr:focus .key').textContent());
    expect(key).toMatch(/^product:\d$/);
    await page.keyboard.press('b');
    expect(await dialog().locator('#confirm-key').textContent()).toBe(key);
    await page.keyboard.press('Enter');
    await dialog().waitFor({ state: 'hidden' });
    expect((await state()).banned).toEqual([{ key }]);
    // The row has the focus again, and Tab comes by its two buttons and then leaves the table.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await expect.poll(() => page.locator(':focus').textContent()).toBe('Lift ban');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await dialog().waitFor({ state: 'hidden' });
    expect((await state()).banned).toEqual([]);
    await page.keyboard.press('Tab');
    expect(await page.locator('#hot-rows :focus').count()).toBe(0);
    await page.keyboard.press('?');
    await page.locator('#help').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#filter').fill('');
  });

  it('clears the tier', async () => {
    load.stop();
    expect((await state()).tier.entries).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Clear tier' }).click();
    await dialog().getByRole('button', { name: 'Clear the tier' }).click();
    await page.getByText('Cleared the tier').waitFor();
    expect((await state()).tier.entries).toBe(0);
    load = startLoad(proxy.port);
  });

  it('says when heatsink is gone, and goes on when it is back', async () => {
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
    load.stop();
    await proxy.close();
    await page.getByText('The connection to heatsink is lost').waitFor();
    expect(await page.locator('#live').textContent()).toBe('reconnecting');
    proxy = await start();
    load = startLoad(proxy.port);
    await page.locator('#banner').waitFor({ state: 'hidden' });
    await expect.poll(() => page.locator('#live').textContent()).toBe('live');
    await row('product:1').getByText('from memory').waitFor();
  });

  it('is not connected while nobody sees it, and has all of the past when somebody does', async () => {
    const setHidden = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'))`);
    const ended = page.waitForEvent('requestfailed', (asked) => asked.url().endsWith('/events'));
    await setHidden(true);
    await ended;
    const begun = ['/history', '/events'].map((path) =>
      page.waitForRequest((asked) => asked.url().endsWith(path)),
    );
    await setHidden(false);
    await Promise.all(begun);
    expect(await page.locator('#banner').isVisible()).toBe(false);
  });

  it('shows what would be saved, when heatsink only observes', async () => {
    const observer = await startProxy({
      upstream: cluster.url,
      flags: { observe: 'on', 'hot-threshold': '40' },
    });
    const readers = startLoad(observer.port);
    const opened = await openPage(browser, `http://127.0.0.1:${observer.adminPort}/`, DESKTOP);
    const text = (selector: string) => opened.page.locator(selector).textContent();
    await opened.page.getByText('observes only').waitFor();
    await rows(opened.page).first().getByText('would be kept').waitFor();
    await expect.poll(() => text('#requests .legend')).toMatch(/would be spared [1-9]/);
    await expect.poll(() => text('#relief-value')).toMatch(/^−\d+\.\d %$/);
    expect(opened.complaints).toEqual([]);
    await opened.page.context().close();
    readers.stop();
    await observer.close();
  });

  it('fits a phone and a narrow window, in the theme of the system or another', async () => {
    const { page: phone, complaints: trouble } = await openPage(browser, url(), {
      ...PHONE,
      colorScheme: 'dark',
    });
    await rows(phone).first().waitFor();
    const width = await phone.evaluate('document.documentElement.scrollWidth');
    expect(width).toBe(360);
    const paper = () => phone.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(await paper()).toBe('rgb(13, 16, 20)');
    await phone.getByRole('button', { name: 'Theme: system' }).tap();
    expect(await paper()).toBe('rgb(245, 246, 248)');
    await phone.reload();
    expect(await paper()).toBe('rgb(245, 246, 248)');
    await phone.setViewportSize({ width: 900, height: 700 });
    expect(await phone.evaluate('document.documentElement.scrollWidth')).toBe(900);
    expect(trouble).toEqual([]);
    await phone.context().close();
  });
}

function takePictures(): void {
  it('are taken in a flash sale of the demo', { timeout: 180_000 }, async () => {
    const [port, admin] = [await freePort(), await freePort()];
    const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
    const flags = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--workers', '2'];
    // Long enough for charts that show calm and sale several times.
    const child = await startChild(process.execPath, [cli, 'demo', ...flags], {
      ready: (output) => /^ +84 s /m.test(output),
      timeoutMs: 150_000,
    });
    const looks = {
      'dashboard-light': { ...DESKTOP, colorScheme: 'light' },
      'dashboard-dark': { ...DESKTOP, colorScheme: 'dark' },
      'dashboard-phone': { ...PHONE, colorScheme: 'light' },
    } as const;
    // A page that opens takes time from the demo, which would show.
    const pages = new Map<string, Page>();
    for (const [name, look] of Object.entries(looks)) {
      pages.set(name, (await openPage(browser, `http://127.0.0.1:${admin}/`, look)).page);
    }
    await waitFor(() => /^ +96 s SALE/m.test(child.output()), 30_000);
    for (const [name, page] of pages) await page.screenshot({ path: join(String(PICTURES), `${name}.png`) });
    expect(await child.stop('SIGINT')).toBe(0);
  });
}

/** Reads the first of the keys most often: some hundreds of reads a second in all. */
function startLoad(port: number): { stop(): void } {
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
