// What the dashboard shows, and when: hostile keys, a heatsink that goes and comes back or only observes, small windows.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPage, startBrowser } from './support/browser.ts';
import { type Dashboard, openDashboard, PHONE } from './support/dashboard.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

let browser: Browser;
let redis: RedisProcess;
let dashboard: Dashboard;
let page: Page;

beforeAll(async () => {
  [browser, redis] = await Promise.all([startBrowser(), startRedis()]);
  dashboard = await openDashboard(browser, redis.url);
  ({ page } = dashboard);
});
afterAll(async () => {
  await dashboard?.close();
  await redis?.stop();
  await browser?.close();
});

it('shows keys as text, whatever they are', async () => {
  await dashboard.row('<img src=x onerror="window.harmed = true">').waitFor();
  await dashboard.row('\\xff\\x00<b>').getByText('binary').waitFor();
  await dashboard.row('abc\\u{202e}txt.exe').waitFor();
  expect(await page.locator('#hot-rows img, #hot-rows b').count()).toBe(0);
  expect(await page.evaluate('window.harmed')).toBeUndefined();
});

it('understands patterns as KEYS does', async () => {
  const server = await startRedis();
  const names = 'a ab abc b a*c a[b] a^c x-y é a\\b hello hallo hxllo'.split(' ');
  for (const name of names) await server.call('SET', name, '1');
  const usual = '* a* *b* a? ? ?? h[ae]llo h[^e]llo h[a-e]llo h[e-a]llo a\\*c a\\[b\\] **a**c h*l*o'.split(
    ' ',
  );
  const odd = 'a[\\^]c a[b [^ x[a-]y a\\\\b a[]b [a- \\'.split(' ');
  const patterns = [...usual, ...odd];
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
    const expected = (await server.call('KEYS', pattern)) as string[];
    expect([pattern, [...matched[i]].sort()]).toEqual([pattern, expected.sort()]);
  }
  await server.stop();
});

it('says when heatsink is gone, and goes on when it is back', async () => {
  expect(dashboard.complaints).toEqual([]);
  await dashboard.stop();
  await page.getByText('The connection to heatsink is lost').waitFor();
  expect(await page.locator('#live').textContent()).toBe('reconnecting');
  await dashboard.start();
  await page.locator('#banner').waitFor({ state: 'hidden' });
  await expect.poll(() => page.locator('#live').textContent()).toBe('live');
  await dashboard.row('product:1').getByText('from memory').waitFor();
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
  const observer = await openDashboard(browser, redis.url, { observe: 'on' });
  const text = (selector: string) => observer.page.locator(selector).textContent();
  await observer.page.getByText('observes only').waitFor();
  await observer.rows.first().getByText('would be kept').waitFor();
  await expect.poll(() => text('#requests .legend')).toMatch(/would be spared [1-9]/);
  await expect.poll(() => text('#relief-value')).toMatch(/^−\d+\.\d %$/);
  expect(observer.complaints).toEqual([]);
  await observer.close();
});

it('fits a phone and a narrow window, in the theme of the system or another', async () => {
  const { page: phone, complaints: trouble } = await openPage(browser, dashboard.url, {
    ...PHONE,
    colorScheme: 'dark',
  });
  await phone.locator('#hot-rows tr').first().waitFor();
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
