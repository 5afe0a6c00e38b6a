/** What a person sees of the events, in a browser. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import { letterLine } from '../support/operating.ts';
import { probed, textOf, untilText, useSite } from './site.ts';

const HOSTILE = '<img src=x onerror="document.title=1">';
/** The longest that the page may keep a person waiting, on a machine that imports at the same time. */
const MAX_PAUSE_MS = 1_000;

describe('the events', { timeout: 600_000 }, () => {
  const site = useSite();

  function publish(name: string, properties: object = {}): void {
    const event = { event: name, properties: { time: 1_767_225_600, distinct_id: 'ada', ...properties } };
    site.live.cloud.pubsub.publish(NAMES.eventTopic, { data: JSON.stringify(event) });
  }

  test('events appear with name, time and user, the newest first, and show their properties after a click', async () => {
    const page = await site.open();
    publish('First', { order: 1 });
    await page.getByRole('row', { name: /First/ }).waitFor();
    publish(HOSTILE, { digits: '%DIGITS%' });
    const row = page.getByRole('row', { name: /onerror/ });
    await row.waitFor();
    await untilText(page.locator('#rows [aria-rowindex="2"]'), /2026-01-01 00:00:00 <img src=x/);
    assert.equal(await page.locator('img').count(), 0);
    await row.click();
    const details = page.getByRole('complementary', { name: HOSTILE });
    await untilText(details, /distinct_id ada .*digits %DIGITS%/);
    await page.getByRole('button', { name: 'Close the properties' }).click();
    await details.waitFor({ state: 'hidden' });
    assert.equal(await page.title(), 'Live view · mixpanel-cloud-ingestion');
  });

  test('the page marks and counts the events that Mixpanel would drop as duplicates', async () => {
    const page = await site.open();
    for (const _ of [1, 2]) publish('Twice', { $insert_id: 'the-same' });
    await page.getByRole('row', { name: /Twice\s*duplicate/ }).waitFor();
    assert.equal(await page.getByRole('row', { name: /Twice/ }).count(), 2);
    await untilText(page.locator('.check'), /^Duplicates only \(1\)$/);
    await page.getByRole('checkbox', { name: 'Duplicates only (1)' }).check();
    await untilText(page.locator('#shown'), /^1 of 4$/);
  });

  test('events can be filtered by name, user and text, and do not appear while the page is paused', async () => {
    const page = await site.open();
    const json = JSON.stringify({ time: 1_767_225_600, distinct_id: 'grace', note: 'a needle', drink: 'café/au lait' });
    const escaped = json.replace('é', '\\u00e9').replaceAll('/', '\\/');
    site.live.cloud.pubsub.publish(NAMES.eventTopic, { data: `{"event":"Found","properties":${escaped}}` });
    await page.getByRole('row', { name: /Found/ }).waitFor();
    for (const [label, words] of [
      ['Name', 'fOUN'],
      ['User', 'grace'],
      ['Text', 'NEEDLE'],
    ] as const) {
      await page.getByLabel(label, { exact: true }).fill(words);
      await untilText(page.locator('#shown'), /^1 of 5$/);
      await page.getByLabel(label, { exact: true }).fill('nobody');
      await page.getByText('No events match these filters.').waitFor();
      await page.getByLabel(label, { exact: true }).fill('');
    }
    await page.getByLabel('Text', { exact: true }).fill('café/au');
    await untilText(page.locator('#shown'), /^1 of 5$/);
    await page.getByLabel('Text', { exact: true }).fill('');
    await page.getByRole('button', { name: 'Pause' }).click();
    publish('Meanwhile');
    await page.getByRole('button', { name: 'Resume (1 arrived)' }).waitFor();
    assert.equal(await page.getByRole('row', { name: /Meanwhile/ }).count(), 0);
    await page.getByRole('button', { name: /Resume/ }).click();
    await page.getByRole('row', { name: /Meanwhile/ }).waitFor();
  });

  test('a person can move through the events with the keyboard alone', async () => {
    const page = await site.open();
    await page.getByRole('row', { name: /Meanwhile/ }).waitFor();
    await page.getByLabel('Duplicates only').focus();
    await page.keyboard.press('Tab');
    const active = page.locator('#rows [aria-selected="true"]');
    await untilText(active, /Meanwhile/);
    await page.keyboard.press('ArrowDown');
    await untilText(active, /Found/);
    await page.keyboard.press('End');
    await untilText(active, /First/);
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'First' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('complementary', { name: 'First' }).waitFor({ state: 'hidden' });
  });

  test('the page stays responsive while 100,000 events arrive', async (t) => {
    const page = await site.open();
    await page.getByRole('button', { name: 'Make 100,000 events' }).click();
    await page.locator('#grid[aria-rowcount="100001"]').waitFor();
    const [longestMs, mostRows] = [await probed<number>(page, 'longestMs'), await probed<number>(page, 'mostRows')];
    t.diagnostic(`longest pause ${longestMs.toFixed()} ms, ${mostRows} rows in the page at most`);
    assert.ok(longestMs < MAX_PAUSE_MS, `the page did not respond for ${longestMs} ms`);
    assert.ok(mostRows > 10 && mostRows < 100, `${mostRows} rows were in the page`);
    const begin = performance.now();
    await page.getByLabel('Text', { exact: true }).fill('shopper-996');
    await untilText(page.locator('#shown'), /^100 of 100,000$/);
    assert.ok(performance.now() - begin < 2 * MAX_PAUSE_MS, 'filtering took too long');
  });

  test('the page shows escapes in place of what would not be seen or would reverse the text', async () => {
    const page = await site.open();
    const odd = 'a\u001b\u009b\u202eb';
    publish(odd, { [odd]: odd, lines: 'one\ntwo' });
    const row = page.getByRole('row', { name: 'a\\u001b\\u009b\\u202eb' });
    await row.click();
    const details = page.getByRole('complementary', { name: 'a\\u001b\\u009b\\u202eb' });
    await untilText(details, /a\\u001b\\u009b\\u202eb a\\u001b\\u009b\\u202eb lines one two/);
    const message = { reason: { field: 'record', message: odd }, record: `{\n"${odd}"` };
    await site.live.cloud.storageClient
      .bucket(NAMES.stateBucket)
      .file('dead-letters/messages/s/2026-11-23/00000000-0000-4000-8000-000000000000.ndjson')
      .save(letterLine(message), { resumable: false });
    await untilText(page.locator('#letters'), /record: a\\u001b\\u009b\\u202eb/);
    await page.locator('#letters summary').click();
    await untilText(page.locator('#letters pre'), /^{ "a\\u001b\\u009b\\u202eb"$/);
    assert.doesNotMatch(await textOf(page.locator('body')), /[\p{Cc}\p{Bidi_Control}]/u);
    const names = await page.locator('[aria-label]').evaluateAll((all) => all.map((one) => one.ariaLabel).join(''));
    assert.doesNotMatch(names, /[\p{Cc}\p{Bidi_Control}]/u);
  });
});
