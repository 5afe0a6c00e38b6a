/** What a person expects of any good page, of the view: it comes back, works without a mouse, in the dark and when narrow. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { serveView } from '../../live-view/server.ts';
import { NAMES } from '../../local-cloud/cloud.ts';
import { probed, untilText, useSite } from './site.ts';

/** Where the README's pictures are; only written when that is asked for. */
const PICTURES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const isUpdating = process.env.UPDATE_PICTURES === '1';

describe('the page', { timeout: 600_000 }, () => {
  const site = useSite();

  function publish(name: string): void {
    const event = { event: name, properties: { time: 1_767_225_600, distinct_id: 'ada' } };
    site.live.cloud.pubsub.publish(NAMES.eventTopic, { data: JSON.stringify(event) });
  }

  /** The server goes, and comes back at the same address. */
  async function interrupt(page: Page, whileAway: () => Promise<void>): Promise<void> {
    const { live } = site;
    const { port } = live.view;
    await live.view.close();
    await page.getByText('The connection is lost; trying again').waitFor();
    await page.getByText('Connection lost, trying again', { exact: true }).waitFor();
    await whileAway();
    live.view = await serveView({ cloud: live.cloud, watch: live.watch, port });
    await page.getByText('Live', { exact: true }).waitFor();
  }

  test('the page says that the connection is lost, and then shows each event that came meanwhile once', async () => {
    const page = await site.open();
    publish('Before');
    await page.getByRole('row', { name: /Before/ }).waitFor();
    await interrupt(page, async () => {
      const arrived = new Promise((resolve) => site.live.cloud.mixpanel.once('event', resolve));
      publish('Away');
      await arrived;
    });
    await page.getByText('Connected again: nothing was missed').waitFor();
    await page.getByRole('row', { name: /Away/ }).waitFor();
    assert.equal(await page.getByRole('row', { name: /Away|Before/ }).count(), 2);
  });

  test('the page begins again if more events came meanwhile than are kept', async () => {
    const page = await site.open();
    await page.getByRole('row', { name: /Away/ }).waitFor();
    await interrupt(page, async () => {
      const { log } = site.live.watch;
      const event = log.at(log.first)!;
      for (let number = 0; number < 100_100; number++) log.push({ ...event, name: `Many ${number}` });
    });
    await page.getByText(/the list begins again/).waitFor();
    await page.getByRole('row', { name: /Many 100099/ }).waitFor();
    await untilText(page.locator('#shown'), /^100,000$/);
  });

  test('the page keeps the selected event in view, however many events arrive', async () => {
    const page = await site.open();
    const { log } = site.live.watch;
    await untilText(page.locator('#shown'), /^100,000$/);
    await page.locator('#grid').focus();
    for (const _ of [1, 2, 3]) await page.keyboard.press('PageDown');
    // Said at once, while the row is drawn with the next frame.
    const id = await page.locator('#grid').getAttribute('aria-activedescendant');
    const index = Number(await page.locator(`#${id}`).getAttribute('aria-rowindex'));
    const event = log.at(log.first)!;
    for (let number = 0; number < 60_000; number++) log.push(event);
    await page.locator(`#${id}[aria-selected="true"][aria-rowindex="${index + 60_000}"]`).waitFor();
  });

  test('every control has a name, and the Tab key reaches it', async () => {
    const page = await site.open();
    const controls = page.locator('button:visible, input:visible, textarea:visible, summary:visible, #grid, #files');
    const wanted = await controls.count();
    const reached = new Set<number>();
    for (let step = 0; step < wanted + 12; step++) {
      await page.keyboard.press('Tab');
      reached.add(await probed<number>(page, 'focused()'));
    }
    reached.delete(-1);
    assert.equal(reached.size, wanted);
    const snapshot = await page.locator('body').ariaSnapshot();
    assert.doesNotMatch(snapshot, /- (button|textbox|searchbox|checkbox|switch|grid|progressbar)(:|$)/m);
    for (const name of [
      'The way',
      'Events',
      'Try it',
      'Break it',
      'Mapping',
      'Dead letters',
      'Files',
      'What the functions say',
    ]) {
      assert.match(snapshot, new RegExp(`heading "${name}"`));
    }
  });

  test('the page does not move if reduced motion is preferred, and fits a narrow window', async () => {
    const page = await site.open({ viewport: { width: 390, height: 800 }, reducedMotion: 'reduce' });
    const width = await probed<number>(page, 'width()');
    assert.ok(width <= 390, `the page is ${width} pixels wide`);
    assert.equal(await probed(page, 'moving()'), 0);
  });

  test('all texts have enough contrast in the light and in the dark color scheme', async () => {
    site.live.watch.log.reset(0);
    const page = await site.open({ viewport: { width: 1280, height: 900 } });
    await makeStory(page);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await probed(page, 'faintTexts()'), []);
      const folder = isUpdating ? PICTURES : join(site.folder, 'pictures');
      await mkdir(folder, { recursive: true });
      const picture = await page.screenshot({ path: join(folder, `view-${colorScheme}.png`) });
      assert.ok(picture.length < 250_000, `the picture has ${picture.length} bytes`);
    }
  });
});

/** Files, messages, slow answers and refusals, until everything has its outcome. */
async function makeStory(page: Page): Promise<void> {
  const status = page.getByRole('list', { name: 'Requests by status' });
  await page.getByRole('button', { name: 'Load the samples' }).click();
  await page.getByRole('switch', { name: /^Slow/ }).check();
  await page.getByRole('button', { name: 'Make 100,000 events' }).click();
  await untilText(page.locator('#running-text'), /: [1-9]\S* MB of/);
  await page.getByRole('switch', { name: /^429/ }).check();
  await untilText(status, /429 × ([7-9]|\d\d)/);
  await page.getByRole('switch', { name: /^429/ }).uncheck();
  await page.getByRole('button', { name: 'Publish 1,000' }).click();
  await page.getByRole('switch', { name: /^Slow/ }).uncheck();
  await untilText(page.locator('#verdict'), /The accounts balance/);
  await page.getByRole('button', { name: 'Load the samples' }).click();
  await untilText(page.locator('#verdict'), /The accounts balance/);
  await page
    .getByRole('row', { name: /Order Completed.*ada/ })
    .first()
    .click();
  await page.evaluate("document.querySelector('#notices').replaceChildren(); scrollTo(0, 0)");
}
