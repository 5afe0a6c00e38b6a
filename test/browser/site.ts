/** For the tests of the view: the local cloud with the view, and Debian's Chromium before it. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { stripTypes } from '../../live-view/assets.ts';
import { type Live, startLive } from '../../live-view/live.ts';

const probe = stripTypes(readFileSync(new URL('probe.ts', import.meta.url), 'utf8'));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** It asks nothing of the network; and the kernel's sandbox is not there for root. */
const ARGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];
/** How long what a person waits for may take, on a machine that does other things too. */
const PATIENCE_MS = 60_000;

/** What a test works with. */
export interface Site {
  live: Live;
  page: Page;
  folder: string;
  /** Opens another page, with preferences of its own. */
  open(options?: BrowserContextOptions): Promise<Page>;
}

/**
 * Starts everything before the tests of a file, and ends it after them; each test has the same cloud, and a page of its own.
 * A page on which an exception was thrown, or that asked for anything elsewhere, fails its test.
 */
export function useSite(): Site {
  const site = {} as Site;
  let browser: Browser;
  let problems: string[] = [];
  before(async () => {
    assert.ok(
      existsSync(CHROMIUM),
      `${CHROMIUM} is missing: install Chromium (on Debian: apt-get install chromium), or say in CHROMIUM where it is`,
    );
    site.folder = await mkdtemp(join(tmpdir(), 'mixpanel-view-'));
    site.live = await startLive({ folder: join(site.folder, 'storage') });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    site.open = async (options = {}) => {
      const page = await browser.newPage({ viewport: { width: 1280, height: 960 }, timezoneId: 'UTC', ...options });
      page.setDefaultTimeout(PATIENCE_MS);
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('console', (message) => {
        if (
          message.type() === 'error' &&
          !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|status of [45]/.test(message.text())
        ) {
          problems.push(message.text());
        }
      });
      page.on('request', (request) => {
        if (!request.url().startsWith(`${site.live.view.url}/`)) problems.push(`asked for ${request.url()}`);
      });
      await page.addInitScript({ content: probe });
      await page.goto(site.live.view.url);
      await page.getByText('Live', { exact: true }).waitFor();
      site.page = page;
      return page;
    };
  });
  afterEach(async () => {
    await Promise.all((browser?.contexts() ?? []).map((context) => context.close()));
    const found = problems;
    problems = [];
    assert.deepEqual(found, []);
  });
  after(async () => {
    await browser?.close();
    await site.live?.close();
    if (site.folder !== undefined) await rm(site.folder, { recursive: true });
  });
  return site;
}

/** Waits until the element's text is that; fails with the text that it has. */
export async function untilText(locator: Locator, expected: RegExp): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let text = '';
  while (Date.now() < deadline) {
    text = await textOf(locator);
    if (expected.test(text)) return;
    await locator.page().waitForTimeout(50);
  }
  assert.match(text, expected);
}

/** The text as a person sees it, on one line. */
export async function textOf(locator: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: cells of a table have no space between them in their text content
  return (await locator.innerText()).replace(/\s+/g, ' ');
}

/** What an expression of `probe.ts` gives in the page. */
export function probed<Result>(page: Page, expression: string): Promise<Result> {
  return page.evaluate<Result>(`probe.${expression}`);
}

/** A station by its heading. */
export function station(page: Page, name: string): Locator {
  return page.getByRole('article', { name: new RegExp(`^${name}`) });
}

/** Waits until the number at a station is as it should be. */
export async function untilNumber(page: Page, where: string, label: string, expected: RegExp): Promise<void> {
  const entry = station(page, where).locator('dl > div').filter({ hasText: label }).locator('dd');
  await untilText(entry, expected);
}
