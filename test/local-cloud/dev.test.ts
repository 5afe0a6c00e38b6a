import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
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

const SCRIPT = fileURLToPath(new URL('../../local-cloud/dev.ts', import.meta.url));

test('npm run dev names the process that has one of its ports, and ends with 2', { timeout: 60_000 }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dev = spawn(process.execPath, [SCRIPT, '--port', String(port - 1)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [printed, [code]] = await Promise.all([text(dev.stderr), once(dev, 'close')]);
  server.close();
  assert.equal(code, 2);
  assert.ok(printed.includes(`port ${port} (mixpanel) is in use by process ${process.pid}: `), printed);
  assert.match(printed, /choose other ports: npm run dev -- --port 5000/);
});

test('npm run dev prints what a command needs, gives .env to the functions but no address, and --clean deletes all', {
  timeout: 60_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-dev-'));
  t.after(() => rm(folder, { recursive: true }));
  writeFileSync(join(folder, '.env'), 'OBJECT_EXCLUDE=*.skipped\nMIXPANEL_API_URL=http://127.0.0.1:9\n');
  const stale = join(folder, 'storage', 'buckets', 'stale');
  await mkdir(stale, { recursive: true });
  writeFileSync(join(stale, 'bucket.json'), '{}');
  writeFileSync(join(folder, 'storage', 'mine.txt'), 'kept');
  const args = [SCRIPT, '--port', '0', '--folder', join(folder, 'storage'), '--clean'];
  const dev = spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => dev.kill('SIGKILL'));
  let env: NodeJS.ProcessEnv = {};
  let skipped = '';
  for await (const line of createInterface(dev.stdout)) {
    const variables = /^export (.*)$/.exec(line)?.[1];
    if (variables !== undefined) env = Object.fromEntries(variables.split(' ').map((pair) => pair.split('=')));
    const upload = /^curl .*'(http\S+)'$/.exec(line)?.[1];
    for (const name of upload === undefined ? [] : ['a.skipped', 'b.ndjson']) {
      const body = '{"event":"Hello","properties":{"time":1767225600,"distinct_id":"me"}}';
      await fetch(upload!.replace('10-events.ndjson', name), { method: 'POST', body });
    }
    if (line.includes('object skipped')) skipped = line;
    if (line.includes('object imported')) break;
  }
  assert.match(skipped, /excluded/);
  dev.stdout.resume();
  assert.deepEqual([existsSync(stale), existsSync(join(folder, 'storage', 'mine.txt'))], [false, true]);
  const status = fileURLToPath(new URL('../../cli/status.ts', import.meta.url));
  const command = spawn(process.execPath, [status, 'gs://local-mixpanel-import/b.ndjson'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed, [code]] = await Promise.all([text(command.stdout), once(command, 'close')]);
  assert.deepEqual([code, /imported 1/.test(printed)], [0, true], printed);
});

test('npm run dev gives a mapping to the functions, and ends with 2 if it is wrong', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-dev-'));
  t.after(() => rm(folder, { recursive: true }));
  const mapping = join(folder, 'mapping.json');
  const start = (content: object) => {
    writeFileSync(mapping, JSON.stringify(content));
    const args = [SCRIPT, '--port', '0', '--folder', join(folder, 'storage'), '--mapping', mapping];
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
  const dev = spawn(process.execPath, [SCRIPT, '--port', '0', '--folder', folder, '--simplified'], {
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
