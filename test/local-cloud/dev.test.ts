import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('npm run dev prints the address of the view first, serves it, and ends at SIGTERM', {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-dev-'));
  const script = fileURLToPath(new URL('../../local-cloud/dev.ts', import.meta.url));
  const dev = spawn(process.execPath, [script, '--port', '0', '--folder', folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  for await (const line of createInterface(dev.stdout)) {
    lines.push(line);
    if (line === 'What happens') break;
  }
  const [first] = lines.filter((line) => line !== '');
  const url = /^Watch it in a browser: (http:\/\/127\.0\.0\.1:\d+)$/.exec(first!)?.[1];
  assert.ok(url, first);
  const page = await fetch(url);
  assert.match(await page.text(), /<title>Live view/);
  dev.kill('SIGTERM');
  const [code] = await once(dev, 'close');
  assert.equal(code, 0);
  await rm(folder, { recursive: true });
});
