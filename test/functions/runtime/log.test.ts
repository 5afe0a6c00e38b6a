import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { createLogger, type Logger, loggedError, withTrace } from '../../../functions/runtime/log.ts';

const TRACE = 'logging.googleapis.com/trace';

/** A logger, and the lines that it has written. */
function newLog() {
  const lines: string[] = [];
  return { logger: createLogger({ write: (line) => lines.push(line) }), lines };
}

/** The fields of one line. */
function fieldsOf(write: (logger: Logger) => void): Record<string, unknown> {
  const { logger, lines } = newLog();
  write(logger);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^\{.*\}\n$/);
  return JSON.parse(lines[0]!);
}

describe('a log line', () => {
  for (const [level, severity] of [
    ['info', 'INFO'],
    ['warn', 'WARNING'],
    ['error', 'ERROR'],
    ['fatal', 'DEFAULT'],
  ] as const) {
    test(`a log line of the level ${level} has the severity ${severity}, the time, the message and its fields, and nothing else`, () => {
      const before = Date.now();
      const { timestamp, ...fields } = fieldsOf((logger) => logger[level]({ read: 1 }, 'two\nlines'));
      assert.deepEqual(fields, { severity, message: 'two\nlines', read: 1 });
      assert.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.ok(Date.parse(String(timestamp)) >= before && Date.parse(String(timestamp)) <= Date.now());
    });
  }

  test('a log line of the level debug is not written', () => {
    const { logger, lines } = newLog();
    logger.debug('x');
    assert.deepEqual(lines, []);
  });

  test('a log line is written to standard output at once, even if the process ends right after it', () => {
    const code = `import { createLogger } from ${JSON.stringify(import.meta.resolve('../../../functions/runtime/log.ts'))};
      createLogger().info({ a: 1 }, 'last words'); process.exit(0);`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    assert.equal(JSON.parse(output).message, 'last words');
  });
});

describe('the trace of a line', () => {
  const trace = '0af7651916cd43dd8448eb211c80319c';

  test('the trace of a log line is that of the request', () => {
    const fields = fieldsOf((logger) => withTrace(logger, 'p', `00-${trace}-b7ad6b7169203331-01`).info('x'));
    assert.equal(fields[TRACE], `projects/p/traces/${trace}`);
  });

  for (const traceparent of [
    undefined,
    null,
    5,
    '',
    'rubbish',
    `00-${trace.slice(1)}-b7ad6b7169203331-01`,
    [trace],
    `x00-${trace}-`,
  ]) {
    test(`a log line has no trace if the header is ${JSON.stringify(traceparent)}`, () => {
      const fields = fieldsOf((logger) => withTrace(logger, 'p', traceparent).info('x'));
      assert.ok(!(TRACE in fields));
    });
  }
});

describe('a logged error', () => {
  test('a logged error has one JSON line for its stack, as its logger would have written it', () => {
    const { logger, lines } = newLog();
    const traced = withTrace(logger, 'p', `00-${'a'.repeat(32)}-b7ad6b7169203331-01`);
    const error = loggedError(traced, 'warn', { read: 1, text: 'a\nb' }, 'object refused');
    assert.ok(error instanceof Error);
    assert.equal(error.message, 'object refused');
    assert.ok(!error.stack!.includes('\n'));
    const { timestamp, ...fields } = JSON.parse(error.stack!);
    assert.match(timestamp, /^\d{4}-/);
    assert.deepEqual(fields, {
      severity: 'WARNING',
      message: 'object refused',
      read: 1,
      text: 'a\nb',
      [TRACE]: `projects/p/traces/${'a'.repeat(32)}`,
    });
    assert.deepEqual(lines, [], 'it is the framework that writes it');
  });

  for (const [level, severity] of [
    ['info', 'INFO'],
    ['warn', 'WARNING'],
    ['error', 'ERROR'],
  ] as const) {
    test(`a logged error of the level ${level} has the severity ${severity}`, () => {
      assert.equal(JSON.parse(loggedError(newLog().logger, level, {}, 'x').stack!).severity, severity);
    });
  }
});
