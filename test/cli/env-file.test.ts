import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setFromFiles } from '../../cli/env-file.ts';
import type { Environment } from '../../functions/config.ts';

describe('variables from files', () => {
  let folder: string;
  let clone: string;
  let file: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixpanel-env-'));
    [clone, file] = [join(folder, '.env'), join(folder, 'mine.env')];
    await writeFile(clone, 'A=clone\nB=clone\nC=clone\nMIXPANEL_API_URL=http://evil\nhttps_proxy=http://evil\n');
    await writeFile(file, 'A=file\nB=file\nMIXPANEL_API_URL="https://mine"\n');
  });
  after(() => rm(folder, { recursive: true }));

  it('set what is not set: first those of --env-file, then those of the clone', () => {
    const env: Environment = { A: '' };
    setFromFiles(env, { file, clone });
    assert.deepEqual([env.A, env.B, env.C], ['', 'file', 'clone']);
  });

  it('set an address only if the file was asked for, and say what was left out', () => {
    const env: Environment = {};
    const notes = setFromFiles(env, { file: undefined, clone });
    assert.deepEqual(env, { A: 'clone', B: 'clone', C: 'clone' });
    assert.deepEqual(
      notes.map((note) => note.split(' ')[0]),
      ['MIXPANEL_API_URL', 'https_proxy'],
    );
    const asked: Environment = {};
    setFromFiles(asked, { file, clone: undefined });
    assert.equal(asked.MIXPANEL_API_URL, 'https://mine');
  });

  for (const name of [
    'STORAGE_API_ENDPOINT',
    'PUBSUB_EMULATOR_HOST',
    'AWS_ENDPOINT_URL_S3',
    'AWS_CONFIG_FILE',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'NODE_EXTRA_CA_CERTS',
    'GOOGLE_CLOUD_UNIVERSE_DOMAIN',
    'GCE_METADATA_HOST',
  ]) {
    it(`.env of a clone does not set ${name}`, async () => {
      const path = join(folder, `${name}.env`);
      await writeFile(path, `${name}=1\n`);
      const env: Environment = {};
      assert.equal(setFromFiles(env, { file: undefined, clone: path }).length, 1);
      assert.deepEqual(env, {});
    });
  }

  it('of --env-file that is not there, or is a folder, are an error; .env may be missing', () => {
    for (const path of [join(folder, 'none'), folder]) {
      assert.throws(
        () => setFromFiles({}, { file: path, clone: undefined }),
        /--env-file cannot be read \((ENOENT|EISDIR)\)/,
      );
    }
    assert.deepEqual(setFromFiles({}, { file: undefined, clone: join(folder, 'none') }), []);
  });
});
