import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Posts an event that links ids, as a function would. */
function postIdentityEvent(url: string): Promise<Response> {
  return fetch(`${url}?strict=1&project_id=1`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa('local-service-account:local-secret')}`,
      'content-type': 'application/x-ndjson',
    },
    body: '{"event":"$merge","properties":{"time":1767225600,"distinct_id":"u","$insert_id":"m"}}',
  });
}

test('npm run dev gives a mapping to the functions, and ends with 2 if it is wrong', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-dev-'));
  t.after(() => rm(folder, { recursive: true }));
  const script = fileURLToPath(new URL('../../local-cloud/dev.ts', import.meta.url));
  const mapping = join(folder, 'mapping.json');
  const start = (content: object) => {
    writeFileSync(mapping, JSON.stringify(content));
    const args = [script, '--port', '0', '--folder', join(folder, 'storage'), '--mapping', mapping];
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  };
  const wrong = start({ evnt: 1 });
  let printed = '';
  wrong.stderr.on('data', (text) => {
    printed += text;
  });
  assert.deepEqual([(await once(wrong, 'close'))[0], printed], [2, `${mapping}: evnt: unknown key. Is event meant?\n`]);

  const dev = start({ event: 'type', time: 'at' });
  dev.stderr.resume();
  let drained: string | undefined;
  for await (const line of createInterface(dev.stdout)) {
    if (line === 'What happens') dev.stdin.write('{"type":"Hello","at":1767225600}\n');
    drained = /subscription drained: .*/.exec(line)?.[0];
    if (drained !== undefined) break;
  }
  assert.match(drained!, /1 read, 1 imported, 0 rejected/);
  dev.kill('SIGTERM');
  assert.equal((await once(dev, 'close'))[0], 0);
});

test('npm run dev prints the address of the view first, serves it and a Mixpanel as asked for, and ends at SIGTERM', {
  timeout: 60_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-dev-'));
  const script = fileURLToPath(new URL('../../local-cloud/dev.ts', import.meta.url));
  const dev = spawn(process.execPath, [script, '--port', '0', '--folder', folder, '--simplified'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => dev.kill('SIGKILL'));
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
  const mixpanel = lines.join('\n').match(/http:\S+\/import/)?.[0];
  assert.equal((await postIdentityEvent(mixpanel!)).status, 400, 'as --simplified asks for');
  dev.kill('SIGTERM');
  const [code] = await once(dev, 'close');
  assert.equal(code, 0);
  await rm(folder, { recursive: true });
});
