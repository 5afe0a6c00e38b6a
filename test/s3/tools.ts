/** The tools for the tests of Amazon S3; they are installed into a folder of their own the first time. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The server that stands for AWS (https://docs.getmoto.org), the linter of templates, and AWS's command line. */
const PACKAGES = ['moto[cloudformation,iam,s3,server,sqs]==5.2.5', 'cfn-lint==1.58.0', 'awscli==1.46.3'];
const CACHE = fileURLToPath(new URL('../../.local/cache/s3-tools-1/', import.meta.url));
const COMPLETE = join(CACHE, 'complete');

const run = promisify(execFile);

/**
 * @returns the folder that has `moto_server`, `cfn-lint`, `aws` and the `python` of all three
 * @throws when they cannot be installed; the message says what is missing
 */
export async function findTools(): Promise<string> {
  const folder = join(CACHE, 'bin');
  if (existsSync(COMPLETE)) return folder;
  console.error('Installing moto, cfn-lint and the AWS CLI, once; this takes a minute …');
  try {
    await rm(CACHE, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', CACHE]);
    await run(join(folder, 'pip'), ['install', '--quiet', ...PACKAGES], { maxBuffer: 100_000_000 });
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    throw new Error(
      `The tests of Amazon S3 need Python 3.10 or newer on the path, with venv (Debian: python3-venv), and PyPI:\n${message}\n${stderr}`,
    );
  }
  await writeFile(COMPLETE, '');
  return folder;
}
