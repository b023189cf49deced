// What can be done on the dashboard, clicked through in a real Chromium in front of a real cluster under load. What is
// clicked is checked by the admin API. With HEATSINK_SCREENSHOTS set to a folder it takes the pictures of the
// documentation instead.

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startBrowser } from './support/browser.ts';
import { type Dashboard, KEYS, openDashboard } from './support/dashboard.ts';
import { takePictures } from './support/pictures.ts';
import { type Cluster, startCluster } from './support/redis.ts';

const PICTURES = process.env.HEATSINK_SCREENSHOTS;
const TOKEN = 'open-sesame';

let browser: Browser;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

if (PICTURES === undefined) describe('the dashboard', clickThrough);
else it('screenshots', { timeout: 180_000 }, () => takePictures(browser, PICTURES));

function clickThrough(): void {
  let cluster: Cluster;
  let dashboard: Dashboard;
  let page: Page;
  let rows: Locator;
  let dialog: Locator;

  beforeAll(async () => {
    cluster = await startCluster();
    dashboard = await openDashboard(browser, cluster.url, { 'admin-token': TOKEN });
    ({ page, rows, dialog } = dashboard);
  });
  afterAll(async () => {
    await dashboard?.close();
    await cluster?.stop();
  });

  it('shows what is hot and what is done about it, live', async () => {
    await dashboard.row('product:1').getByText('from memory').waitFor();
    await expect.poll(() => page.locator('#live').textContent()).toBe('live');
    await expect.poll(() => page.locator('#shard-list li .badge.good').count()).toBe(3);
    const rate = () => page.locator('#total-value').textContent();
    await expect.poll(async () => Number(`${await rate()}`.replace(',', ''))).toBeGreaterThan(100);
    await expect.poll(() => page.locator('#hits-value').textContent()).toMatch(/^\d+\.\d %$/);
    // Ranked by reads, and the charts have drawn something.
    await expect.poll(() => rows.nth(3).locator('.key').textContent()).toBe('product:1');
    expect(await page.locator('.plot canvas').count()).toBe(5);
    await expect.poll(() => page.locator('#requests .legend').textContent()).toMatch(/from memory [1-9]/);
  });

  it('filters by pattern or a part of the name, and offers what to do when nothing is left', async () => {
    const filter = page.locator('#filter');
    await filter.fill('product:[1-2]');
    await expect.poll(() => rows.count()).toBe(2);
    await filter.fill('rder:');
    await expect.poll(() => rows.locator('.key').allTextContents()).toEqual(['order:1', 'order:2']);
    await filter.fill('sale:tomorrow');
    await page.locator('#hot-offer').getByRole('button', { name: 'Pin it' }).waitFor();
    expect(await rows.count()).toBe(0);
    await filter.press('Escape');
    await expect.poll(() => rows.count()).toBe(KEYS.length);
  });

  it('asks before it acts, wants the admin token once, and says when it is wrong', async () => {
    await dashboard.row('product:2').getByRole('button', { name: 'Ban' }).click();
    expect(await dialog.locator('#confirm-key').textContent()).toBe('product:2');
    await dialog.locator('#token').fill('wrong');
    await dialog.getByRole('button', { name: 'Ban' }).click();
    await dialog.getByText('does not accept this token').waitFor();
    expect((await dashboard.state()).banned).toEqual([]);
    await dialog.locator('#token').fill(TOKEN);
    await dialog.getByRole('button', { name: 'Ban' }).click();
    await dialog.waitFor({ state: 'hidden' });
    expect((await dashboard.state()).banned).toEqual([{ key: 'product:2' }]);
    await dashboard.row('product:2').getByText('banned').waitFor();
    await dashboard.row('product:2').getByRole('button', { name: 'Lift ban' }).click();
    expect(await dialog.locator('#token').isVisible()).toBe(false);
    await dialog.getByRole('button', { name: 'Lift the ban' }).click();
    await expect.poll(async () => (await dashboard.state()).banned).toEqual([]);
    await dashboard.row('product:2').getByText('from memory').waitFor();
  });

  it('pins and unpins keys, binary ones and cold ones too', async () => {
    await dashboard.row('\\xff\\x00<b>').getByRole('button', { name: 'Pin' }).click();
    await dialog.getByRole('button', { name: 'Pin' }).click();
    await dashboard.row('\\xff\\x00<b>').getByText('pinned').waitFor();
    await page.locator('#filter').fill('sale:tomorrow');
    await page.getByRole('button', { name: 'Pin it' }).click();
    await dialog.getByRole('button', { name: 'Pin' }).click();
    await page.locator('#by-hand-list').getByText('sale:tomorrow').waitFor();
    const pinned = [{ key: '/wA8Yj4=', encoding: 'base64' }, { key: 'sale:tomorrow' }];
    expect((await dashboard.state()).pinned).toEqual(pinned);
    await page.locator('#filter').fill('');
    for (const name of ['sale:tomorrow', '\\xff\\x00<b>']) {
      await page
        .locator('#by-hand-list')
        .getByRole('button', { name: `Unpin ${name}` })
        .click();
      await dialog.getByRole('button', { name: 'Unpin' }).click();
      await page.locator('#by-hand-list').getByText(name).waitFor({ state: 'detached' });
    }
    expect((await dashboard.state()).pinned).toEqual([]);
  });

  it('does nothing when the answer is no', async () => {
    await dashboard.row('order:1').getByRole('button', { name: 'Ban' }).click();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dashboard.row('order:1').getByRole('button', { name: 'Pin' }).click();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await dashboard.row('order:1').getByRole('button', { name: 'Pin' }).click();
    await dialog.click({ position: { x: 3, y: 3 } });
    expect(await dialog.isVisible()).toBe(true);
    await page.mouse.click(5, 500);
    await dialog.waitFor({ state: 'hidden' });
    expect(await dashboard.state()).toMatchObject({ pinned: [], banned: [] });
  });

  it('can be used by the keyboard alone', async () => {
    await page.mouse.move(0, 0);
    await page.keyboard.press('/');
    await page.keyboard.type('product:*');
    await expect.poll(() => rows.count()).toBe(3);
    await rows.first().focus();
    await page.keyboard.press('ArrowDown');
    const key = String(await page.locator('#hot-rows tr:focus .key').textContent());
    expect(key).toMatch(/^product:\d$/);
    await page.keyboard.press('b');
    expect(await dialog.locator('#confirm-key').textContent()).toBe(key);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    expect((await dashboard.state()).banned).toEqual([{ key }]);
    // The row has the focus again, and Tab comes by its two buttons and then leaves the table.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await expect.poll(() => page.locator(':focus').textContent()).toBe('Lift ban');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    expect((await dashboard.state()).banned).toEqual([]);
    await page.keyboard.press('Tab');
    expect(await page.locator('#hot-rows :focus').count()).toBe(0);
    await page.keyboard.press('?');
    await page.locator('#help').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#filter').fill('');
  });

  it('clears the tier', async () => {
    dashboard.stopLoad();
    expect((await dashboard.state()).tier.entries).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Clear tier' }).click();
    await dialog.getByRole('button', { name: 'Clear the tier' }).click();
    await page.getByText('Cleared the tier').waitFor();
    expect((await dashboard.state()).tier.entries).toBe(0);
    dashboard.startLoad();
  });

  it('complains of nothing', () => {
    expect(dashboard.complaints.filter((text) => !text.includes('401'))).toEqual([]);
  });
}
