/** What a person sees of a mapping that is being written, in a browser. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NAMES } from '../../local-cloud/cloud.ts';
import { untilText, useSite } from './site.ts';

describe('the mapping', { timeout: 600_000 }, () => {
  const site = useSite();
  const HOSTILE = '<img src=x onerror="document.title=1">';
  const MAPPING = '{ "event": "type", "time": "at", "user": "customer" }';

  function publish(customer: string): void {
    const order = { type: 'Order', at: 1_767_225_600, customer };
    site.live.cloud.pubsub.publish(NAMES.eventTopic, { data: JSON.stringify(order) });
  }

  test('errors are shown as one types, then the last records and what becomes of them, also of those that come later', async () => {
    const page = await site.open();
    const card = page.getByRole('region', { name: 'Mapping' });
    const box = card.getByRole('textbox', { name: 'What becomes of records, JSON' });
    const records = card.getByRole('list', { name: 'The last records and what becomes of them' });
    publish(HOSTILE);
    await untilText(records, /message \d+ of \S+, record 0 { "type": "Order", .* } rejected: event: /);
    await box.pressSequentially('{ "evnt": "type"');
    await untilText(page.locator('#mapping-problems'), /^the mapping is not JSON$/);
    await box.pressSequentially(' }');
    await untilText(page.locator('#mapping-problems'), /^evnt: unknown key. Is event meant\?$/);
    assert.equal(await box.getAttribute('aria-invalid'), 'true');
    await card.getByRole('button', { name: 'Use this mapping' }).click();
    await page.getByText('evnt: unknown key', { exact: false }).nth(1).waitFor();
    await box.fill(MAPPING);
    await untilText(page.locator('#mapping-problems'), /^$/);
    await untilText(records, /"distinct_id": "<img src=x onerror=\\"document.title=1\\">"/);
    assert.equal(await page.locator('img').count(), 0);
    publish('grace');
    await untilText(records, /^message .*"distinct_id": "grace".* message .*"distinct_id": "<img/);
    await untilText(page.locator('#mapping-state'), /^not in use$/);
  });

  test('what was typed is there when the page is loaded again, and in another window once the functions use it', async () => {
    const page = await site.open();
    const box = page.locator('#mapping');
    await box.fill(MAPPING);
    await page.reload();
    await page.getByText('Live', { exact: true }).waitFor();
    assert.equal(await box.inputValue(), MAPPING);
    await page.getByRole('button', { name: 'Use this mapping' }).click();
    await page.getByText('Both functions are started again with the mapping').waitFor();
    await untilText(page.locator('#mapping-state'), /^in use by the functions$/);
    await untilText(page.locator('#log'), /both functions are started again with the mapping/);
    const other = await site.open();
    await untilText(other.locator('#mapping-state'), /^in use by the functions$/);
    assert.equal(await other.locator('#mapping').inputValue(), MAPPING);
    await untilText(page.locator('.import'), /up, started again once/);
    publish('hopper');
    await page.getByRole('row', { name: /Order.*hopper/ }).waitFor();
  });
});
