/** Runs the commands as npm does when it takes options for itself. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type MixpanelServer, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { eventText } from '../support/event.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const serviceAccount = { username: 'importer', secret: 'secret', projectId: '42' };

describe('options that npm takes for itself', () => {
  let folder: string;
  let file: string;
  let mixpanel: MixpanelServer;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixpanel-npm-'));
    file = join(folder, 'events.ndjson');
    await writeFile(file, `${eventText('id-1')}\n`);
  });
  beforeEach(async () => {
    mixpanel = await startMixpanel({ serviceAccount });
  });
  afterEach(() => mixpanel.close());
  after(() => rm(folder, { recursive: true }));

  /** Runs npm itself in the project's folder. */
  async function npm(...args: string[]) {
    const child = spawn('npm', args, {
      cwd: root,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        MIXPANEL_API_URL: mixpanel.url,
        MIXPANEL_PROJECT_ID: serviceAccount.projectId,
        MIXPANEL_SERVICE_ACCOUNT_USERNAME: serviceAccount.username,
        MIXPANEL_SERVICE_ACCOUNT_SECRET: serviceAccount.secret,
      },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    return { code, stdout, stderr };
  }

  it('npm run import -- FILE sends the event, so the other tests would see it', async () => {
    const { code, stderr } = await npm('run', 'import', '--', file);
    assert.equal(code, 0, stderr);
    assert.equal(mixpanel.received, 1);
  });

  for (const args of [
    ['--dry-run', 'FILE'],
    ['FILE', '--dry-run'],
  ]) {
    it(`npm run import ${args.join(' ')} sends nothing`, async () => {
      const named = args.map((arg) => (arg === 'FILE' ? file : arg));
      const { code, stdout, stderr } = await npm('run', 'import', ...named);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^Nothing was sent: 1 event would be imported/m);
      assert.equal(mixpanel.requests.length, 0);
    });
  }

  it('npm run import --json prints nothing but one document if npm itself is silent', async () => {
    const { code, stdout, stderr } = await npm('run', '--silent', 'import', '--json', file);
    assert.deepEqual([code, JSON.parse(stdout).total.imported], [0, 1], stderr);
  });

  it('npm run import --quiet shows no progress', async () => {
    const { stderr } = await npm('run', 'import', '--quiet', '--dry-run', file);
    assert.doesNotMatch(stderr, /100%/);
  });

  for (const { args, expected } of [
    { args: ['--mapping', 'm.json'], expected: 'npm run import -- --mapping VALUE …' },
    { args: ['--mapping=m.json', '--dry-run'], expected: 'npm run import -- --dry-run --mapping m.json …' },
    { args: ['--give-up-after', '5s'], expected: 'npm run import -- --give-up-after VALUE …' },
  ]) {
    it(`npm run import ${args.join(' ')} FILE sends nothing, ends with 2 and says what to type`, async () => {
      const { code, stderr } = await npm('run', 'import', ...args, file);
      assert.equal(code, 2);
      assert.ok(stderr.includes(expected), stderr);
      assert.equal(mixpanel.requests.length, 0);
    });
  }
});
