/** What a person sees of the way, and what can be tried, broken and repaired, in a browser. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { NAMES } from '../../local-cloud/cloud.ts';
import { station, textOf, untilNumber, untilText, useSite } from './site.ts';

describe('the way', { timeout: 600_000 }, () => {
  const site = useSite();
  const BALANCED = /The accounts balance/;

  function verdict(page: Page) {
    return page.locator('#verdict');
  }

  function status(page: Page, code: number) {
    return page.getByRole('list', { name: 'Requests by status' }).getByText(new RegExp(`^${code} ×`));
  }

  function toggle(page: Page, name: RegExp) {
    return page.getByRole('switch', { name });
  }

  /** Drops what lies under these paths on the page, as a file manager does. */
  async function drop(page: Page, paths: string[]): Promise<void> {
    const session = await page.context().newCDPSession(page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await session.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
    }
  }

  test('the page counts the samples at each station until the accounts balance', async () => {
    const page = await site.open();
    await untilText(verdict(page), /Nothing has come yet/);
    await page.getByRole('button', { name: 'Load the samples' }).click();
    await untilNumber(page, 'Bucket', 'uploaded', /^2$/);
    await untilNumber(page, 'importObject', 'done', /^2$/);
    await untilNumber(page, 'Mixpanel', 'events', /^20$/);
    await status(page, 200).waitFor();
    await untilText(verdict(page), BALANCED);
    await untilText(page.locator('#accounts'), /files 22 0 20 2 0 ✓/);
    await untilText(page.locator('#file-rows'), /shop.ndjson done 1.4 kB 12 10 2 0/);
    await page
      .getByRole('img', { name: /events a second, at most \d+ in the last minute; 0 failed requests/ })
      .waitFor();
  });

  test('the form publishes one message, and a thousand', async () => {
    const page = await site.open();
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('A message is published').waitFor();
    await page.getByRole('button', { name: 'Publish 1,000' }).click();
    await untilNumber(page, 'Topic', 'published', /^1,001$/);
    await untilNumber(page, 'drainSubscription', 'acknowledged', /^1,001$/);
    await untilText(verdict(page), BALANCED);
    await untilText(page.locator('#accounts'), /messages 1,001 0 1,001 0 0 ✓/);
  });

  test('the page uploads a file that is dropped or chosen, and explains why it cannot upload a folder or an unreadable file', async () => {
    const page = await site.open();
    const file = join(site.folder, 'dropped.ndjson');
    await writeFile(file, '{"event":"Dropped","properties":{"time":1767225600,"distinct_id":"ada"}}\n');
    await drop(page, [file, site.folder, join(site.folder, 'missing.ndjson')]);
    await page.getByText('dropped.ndjson is uploaded').waitFor();
    await page.getByText(/is a folder: drop the files that are in it/).waitFor();
    await page.getByText(/missing.ndjson cannot be read/).waitFor();
    await page.getByRole('row', { name: /Dropped/ }).waitFor();
    await page.getByLabel(/Drop files/).setInputFiles(new URL('../../samples/shop.ndjson', import.meta.url).pathname);
    await page.getByText('shop.ndjson is uploaded').waitFor();
    await untilNumber(page, 'Bucket', 'uploaded', /^4$/);
    await untilText(verdict(page), BALANCED);
  });

  test('the page groups dead letters by reason, with their place and record, and replays one group', async () => {
    const page = await site.open();
    const letters = page.getByRole('region', { name: 'Dead letters' });
    await untilText(letters, /4 for 2 reasons/);
    await letters.getByText(/properties.time: must be specified/).click();
    await untilText(letters, /gs:\/\/local-mixpanel-import\/shop.ndjson#\d+ line 9, byte \d+ .*properties.time/);
    await letters.getByRole('button', { name: /^Replay 2: record: not JSON/ }).click();
    await page.getByText('2 replayed: 0 imported, 2 rejected again').waitFor();
    await untilText(page.locator('#accounts'), /replays 2 0 0 2 0 ✓/);
    await untilText(letters, /4 for 2 reasons/);
  });

  test('a file whose every record was rejected is not green, and links to its dead letters alone', async () => {
    const page = await site.open();
    const file = join(site.folder, 'worthless %1#.ndjson');
    await writeFile(file, '{"event":"Bad","properties":{"time":"today","distinct_id":"ada"}}\n');
    await page.getByLabel(/Drop files/).setInputFiles(file);
    const row = page.getByRole('row', { name: /worthless/ });
    await untilText(row, /done: every record was rejected/);
    const colorOf = (kind: string) =>
      page.evaluate(`getComputedStyle(document.querySelector('#file-rows .state.${kind}')).color`);
    assert.notEqual(await colorOf('all-rejected'), await colorOf('done'));
    const letters = page.getByRole('region', { name: 'Dead letters' });
    await row.getByRole('link', { name: /1 rejected: dead letters of worthless/ }).click();
    await untilText(letters, /1 of worthless %1#.ndjson for one reason/);
    assert.equal(await letters.getByRole('button', { name: /^Replay/ }).count(), 0);
    await letters.getByRole('link', { name: 'Show all' }).click();
    await untilText(letters, /5 for 2 reasons/);
    await letters.getByRole('button', { name: /^Replay 2: record: not JSON/ }).waitFor();
    await site.live.cloud.storageClient.bucket(NAMES.stateBucket).deleteFiles({
      prefix: `dead-letters/objects/${NAMES.importBucket}/worthless`,
    });
    await untilText(letters, /4 for 2 reasons/);
  });

  for (const [name, code] of [
    [/^429/, 429],
    [/^503/, 503],
    [/^Smaller limit/, 413],
  ] as const) {
    test(`the page shows how the import continues after ${code}`, async () => {
      const page = await site.open();
      await toggle(page, name).check();
      await page.getByRole('button', { name: 'Publish 1,000' }).click();
      await status(page, code).waitFor();
      if (code !== 413) {
        await untilText(verdict(page), /Under way/);
        await page.getByRole('img', { name: /[1-9]\d* failed request/ }).waitFor();
      }
      await toggle(page, name).uncheck();
      await untilText(verdict(page), BALANCED);
    });
  }

  test('the functions keep everything while the password is wrong, log what to fix, and continue when it is right', async () => {
    const page = await site.open();
    const before = await textOf(station(page, 'importObject').locator('dd').nth(1));
    await toggle(page, /Wrong password/).check();
    await page.getByRole('button', { name: 'Load the samples' }).click();
    await untilNumber(page, 'Bucket', 'put off', /^2$/);
    await untilText(page.locator('#log'), /credentials_refused · Mixpanel refused the credentials with 401/);
    await untilText(page.locator('#file-rows'), /put off: credentials_refused/);
    assert.equal(await textOf(station(page, 'importObject').locator('dd').nth(1)), before);
    await toggle(page, /Wrong password/).uncheck();
    await untilNumber(page, 'importObject', 'done', new RegExp(`^${Number(before) + 2}$`));
    await untilText(verdict(page), BALANCED);
  });

  test('the import continues where a function was killed after it is started again', async () => {
    const page = await site.open();
    await toggle(page, /^Slow/).check();
    await page.getByRole('button', { name: 'Make 100,000 events' }).click();
    await untilNumber(page, 'importObject', 'running', /^1$/);
    await untilText(station(page, 'importObject'), /made-100000\S+: \d\S* \S+ of 12.5 MB settled/);
    await page.getByRole('button', { name: 'Kill importObject' }).click();
    await page.getByText('importObject was killed; it is started again').waitFor();
    await untilText(station(page, 'importObject'), /up, started again once/);
    await page.getByRole('button', { name: 'Publish 1,000' }).click();
    await untilNumber(page, 'Topic', 'in flight', /^[1-9]/);
    await page.getByRole('button', { name: 'Kill drainSubscription' }).click();
    await untilText(station(page, 'drainSubscription'), /up, started again once/);
    await toggle(page, /^Slow/).uncheck();
    await untilText(verdict(page), BALANCED);
    await untilText(page.locator('#file-rows'), /made-100000\S+ done 12.5 MB 100,000 100,000 0 0/);
  });
});
