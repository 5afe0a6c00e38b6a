import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createTerminal } from '../../local-cloud/terminal.ts';

const ODD = 'odd\u001b[31m\r\n\u0007\u009b2J\u202egpj';
const SHOWN = 'odd\\u001b[31m\\u000d\\u000a\\u0007\\u009b2J\\u202egpj';

/** A terminal, and what was written to it. */
function newTerminal(isTTY = false) {
  let written = '';
  const stream = Object.assign(new PassThrough(), { isTTY, getColorDepth: () => 8 });
  stream.on('data', (chunk) => {
    written += chunk;
  });
  return { terminal: createTerminal(stream as unknown as NodeJS.WriteStream), written: () => written };
}

test('whatever the demo and the local cloud print, they print without control characters', () => {
  const log = { severity: 'ERROR', message: ODD, reason: ODD, error: ODD };
  for (const [name, print] of Object.entries<(terminal: ReturnType<typeof createTerminal>) => void>({
    heading: (terminal) => terminal.heading(ODD),
    line: (terminal) => terminal.line('dead letters', `gs://state/${ODD}`),
    'a log line': (terminal) => terminal.functionLine('importObject', JSON.stringify(log)),
    'any other line': (terminal) => terminal.functionLine('importObject', ODD),
    table: (terminal) => terminal.table([[ODD, ODD]]),
    success: (terminal) => terminal.success(ODD),
    failure: (terminal) => terminal.failure(ODD),
  })) {
    const { terminal, written } = newTerminal();
    print(terminal);
    assert.doesNotMatch(written().replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u, name);
    assert.ok(written().includes(SHOWN), `${name}: ${written()}`);
  }
});

test('the columns of a table are as wide as their escapes', () => {
  const { terminal, written } = newTerminal();
  terminal.table([
    ['source', 'sent'],
    [ODD, 1],
  ]);
  const [head, row] = written().trimEnd().split('\n');
  assert.equal(head!.length, row!.length);
});
