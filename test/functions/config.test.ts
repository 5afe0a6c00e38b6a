import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Environment,
  readCoreConfig,
  readDrainSubscriptionConfig,
  readImportObjectConfig,
  readTarget,
} from '../../functions/config.ts';
import { ConfigError } from '../../functions/core/errors.ts';
import { insertIdByContent, insertIdByPosition } from '../../functions/core/insert-id.ts';
import { TEMPORARY_OBJECTS } from '../../functions/object-filter.ts';

const account = {
  MIXPANEL_PROJECT_ID: '42',
  MIXPANEL_SERVICE_ACCOUNT_USERNAME: 'user.1',
  MIXPANEL_SERVICE_ACCOUNT_SECRET: 'open sesame',
};
const both = { ...account, STATE_BUCKET: 'state-bucket' };
const object = { ...both, OBJECT_TOPIC: 'projects/p/topics/t' };
const drain = { ...both, EVENT_SUBSCRIPTION: 'projects/p/subscriptions/s' };

const coreDefaults = {
  mixpanel: {
    projectId: '42',
    username: 'user.1',
    password: 'open sesame',
    url: 'https://api.mixpanel.com',
    requestTimeoutMs: 60_000,
  },
  maxEvents: 2_000,
  maxBytes: 10_000_000,
  maxConcurrency: 10,
  maxBytesInFlight: 48_000_000,
  gzipLevel: 6,
  retryMinDelayMs: 2_000,
  retryMaxDelayMs: 60_000,
  insertIdOf: insertIdByContent,
  mapping: undefined,
  hashKey: undefined,
  storageEndpoint: undefined,
};

/** The problems of an environment; none if it is usable. */
function problemsOf(read: (env: Environment) => unknown, env: Environment): readonly string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    for (const problem of error.problems) assert.ok(error.message.includes(problem));
    return error.problems;
  }
}

/** The variables that the problems name. */
function faultyOf(read: (env: Environment) => unknown, env: Environment): string[] {
  return problemsOf(read, env).map((problem) => problem.split(' ')[0]!);
}

describe('the mapping and the key of hashes', () => {
  const key = 'sixteen letters!';
  const mapping = '{"event":"e","time":"t","hash":["$user"]}';

  test('a mapping that is right is kept as it is, with the key', () => {
    const config = readCoreConfig({ ...account, IMPORT_MAPPING: ` ${mapping}\n`, IMPORT_HASH_KEY: key });
    assert.deepEqual([config.mapping, config.hashKey], [mapping, key]);
  });

  test('a mapping that hashes needs the key', () => {
    assert.deepEqual(problemsOf(readCoreConfig, { ...account, IMPORT_MAPPING: mapping }), [
      'IMPORT_MAPPING: hash: needs the variable IMPORT_HASH_KEY',
    ]);
  });

  test('all that is wrong with a mapping is told at once, each with its path, and with what is wrong elsewhere', () => {
    const env = { ...account, IMPORT_MAPPING: '[{"evnt":"e"},{"time":5,"event":""}]', IMPORT_GZIP_LEVEL: '10' };
    assert.deepEqual(problemsOf(readCoreConfig, env), [
      'IMPORT_GZIP_LEVEL must be a whole number from 1 to 9',
      'IMPORT_MAPPING: [0].evnt: unknown key. Is event meant?',
      'IMPORT_MAPPING: [1].event: must be a path, such as context.page.url, items[0].sku or ["a.b"]',
      'IMPORT_MAPPING: [1].time: must be a path, or an object with path, unit, zone',
    ]);
  });

  test('a key that can be guessed is refused, and not shown', () => {
    const [problem, ...others] = problemsOf(readCoreConfig, { ...account, IMPORT_HASH_KEY: 'fifteen letters' });
    assert.deepEqual(others, []);
    assert.equal(problem, 'IMPORT_HASH_KEY must have at least 16 characters');
  });

  test('with a key ids by content are hashed with it; ids by position are not', () => {
    const record = Buffer.from('{}');
    const source = { locate: () => ({ file: 'f', line: 1, offset: 0 }) } as never;
    const idWith = (env: Environment) => readCoreConfig({ ...account, ...env }).insertIdOf(record, source, 0, 1);
    const [keyed, other] = [idWith({ IMPORT_HASH_KEY: key }), idWith({ IMPORT_HASH_KEY: `${key}!` })];
    assert.match(keyed, /^[0-9a-f]{24}$/);
    assert.equal(new Set([keyed, other, insertIdByContent(record, source, 0, 1)]).size, 3);
    assert.equal(idWith({ INSERT_ID: 'position', IMPORT_HASH_KEY: key }), idWith({ INSERT_ID: 'position' }));
  });
});

describe('the defaults', () => {
  test('the defaults of the core are the documented ones', () =>
    assert.deepEqual(readCoreConfig(account), coreDefaults));

  test('the defaults of importObject are the documented ones', () => {
    assert.deepEqual(readImportObjectConfig(object), {
      ...coreDefaults,
      stateBucket: 'state-bucket',
      deadLetterBucket: 'state-bucket',
      deadlineMs: 500_000,
      objectTopic: 'projects/p/topics/t',
      objectPrefix: '',
      objectInclude: [],
      objectExclude: TEMPORARY_OBJECTS,
      pubsubEmulatorHost: undefined,
      leaseMs: 60_000,
    });
  });

  test('the defaults of drainSubscription are the documented ones', () => {
    assert.deepEqual(readDrainSubscriptionConfig(drain), {
      ...coreDefaults,
      stateBucket: 'state-bucket',
      deadLetterBucket: 'state-bucket',
      deadlineMs: 500_000,
      eventSubscription: 'projects/p/subscriptions/s',
      drainIdleMs: 3_000,
    });
  });

  test('the defaults apply to variables that are empty or blank', () => {
    const names = [
      'MIXPANEL_REGION',
      'IMPORT_MAX_CONCURRENCY',
      'INSERT_ID',
      'MIXPANEL_PROJECT_TOKEN',
      'STORAGE_API_ENDPOINT',
    ];
    for (const blank of ['', '  ']) {
      const env = { ...account, ...Object.fromEntries(names.map((name) => [name, blank])) };
      assert.deepEqual(readCoreConfig(env), coreDefaults);
    }
  });
});

const everything = { ...object, ...drain };

/** What all of the configuration is, whichever function it is for. */
function readAll(env: Environment) {
  return {
    ...readImportObjectConfig({ ...everything, ...env }),
    ...readDrainSubscriptionConfig({ ...everything, ...env }),
  };
}

const values: { name: string; env: string; expected: Record<string, unknown> }[] = [
  { name: 'IMPORT_MAX_BATCH_EVENTS', env: '17', expected: { maxEvents: 17 } },
  { name: 'IMPORT_MAX_BATCH_BYTES', env: '5000', expected: { maxBytes: 5_000 } },
  { name: 'IMPORT_MAX_CONCURRENCY', env: ' 3 ', expected: { maxConcurrency: 3 } },
  { name: 'IMPORT_MAX_BYTES_IN_FLIGHT', env: '1000', expected: { maxBytesInFlight: 1_000 } },
  { name: 'IMPORT_GZIP_LEVEL', env: '9', expected: { gzipLevel: 9 } },
  { name: 'IMPORT_RETRY_MIN_DELAY_MS', env: '1', expected: { retryMinDelayMs: 1 } },
  { name: 'IMPORT_RETRY_MAX_DELAY_MS', env: '70', expected: { retryMaxDelayMs: 70 } },
  { name: 'IMPORT_DEADLINE_SECONDS', env: '20', expected: { deadlineMs: 20_000 } },
  { name: 'IMPORT_LEASE_SECONDS', env: '5', expected: { leaseMs: 5_000 } },
  { name: 'DRAIN_IDLE_SECONDS', env: '0', expected: { drainIdleMs: 0 } },
  { name: 'DRAIN_IDLE_SECONDS', env: '60', expected: { drainIdleMs: 60_000 } },
  { name: 'INSERT_ID', env: 'position', expected: { insertIdOf: insertIdByPosition } },
  { name: 'PUBSUB_EMULATOR_HOST', env: 'localhost:8085', expected: { pubsubEmulatorHost: 'localhost:8085' } },
  { name: 'OBJECT_PREFIX', env: 'dir/', expected: { objectPrefix: 'dir/' } },
  { name: 'OBJECT_INCLUDE', env: '*.json, in/**/a?b ', expected: { objectInclude: ['*.json', 'in/**/a?b'] } },
  { name: 'OBJECT_EXCLUDE', env: 'tmp/**', expected: { objectExclude: ['tmp/**'] } },
  { name: 'OBJECT_EXCLUDE', env: ' none ', expected: { objectExclude: [] } },
  { name: 'OBJECT_EXCLUDE', env: ' ', expected: {} },
  { name: 'OBJECT_INCLUDE', env: '', expected: {} },
  { name: 'OBJECT_TOPIC', env: 'projects/a.b:c/topics/t-1', expected: { objectTopic: 'projects/a.b:c/topics/t-1' } },
  {
    name: 'STORAGE_API_ENDPOINT',
    env: 'http://127.0.0.1:9000',
    expected: { storageEndpoint: 'http://127.0.0.1:9000' },
  },
  {
    name: 'IMPORT_REQUEST_TIMEOUT_MS',
    env: '1500',
    expected: { mixpanel: { ...coreDefaults.mixpanel, requestTimeoutMs: 1_500 } },
  },
  { name: 'MIXPANEL_REGION', env: 'us', expected: { mixpanel: coreDefaults.mixpanel } },
  {
    name: 'MIXPANEL_REGION',
    env: 'eu',
    expected: { mixpanel: { ...coreDefaults.mixpanel, url: 'https://api-eu.mixpanel.com' } },
  },
  {
    name: 'MIXPANEL_REGION',
    env: 'in',
    expected: { mixpanel: { ...coreDefaults.mixpanel, url: 'https://api-in.mixpanel.com' } },
  },
  {
    name: 'MIXPANEL_API_URL',
    env: 'http://localhost:1',
    expected: { mixpanel: { ...coreDefaults.mixpanel, url: 'http://localhost:1' } },
  },
];

describe('a variable', () => {
  for (const { name, env, expected } of values) {
    test(`${name} can be ${JSON.stringify(env)}`, () => {
      assert.deepEqual(readAll({ [name]: env }), { ...readAll({}), ...expected });
    });
  }

  const ranges: [name: string, min: number, max: number, others?: Environment][] = [
    ['IMPORT_MAX_BATCH_EVENTS', 1, 2_000],
    ['IMPORT_MAX_BATCH_BYTES', 1, 10_000_000],
    ['IMPORT_MAX_CONCURRENCY', 1, 100],
    ['IMPORT_MAX_BYTES_IN_FLIGHT', 1, 1_000_000_000],
    ['IMPORT_GZIP_LEVEL', 1, 9],
    ['IMPORT_RETRY_MIN_DELAY_MS', 1, 600_000],
    ['IMPORT_RETRY_MAX_DELAY_MS', 1, 600_000],
    ['IMPORT_LEASE_SECONDS', 2, 600],
    ['DRAIN_IDLE_SECONDS', 0, 500],
  ];
  for (const [name, min, max] of ranges) {
    test(`${name} must be a whole number from ${min} to ${max}`, () => {
      for (const good of [min, max]) assert.deepEqual(faultyOf(readAll, { [name]: `${good}` }), []);
      const bad = [
        `${min - 1}`,
        `${max + 1}`,
        '1.5',
        '1e1',
        '0x1',
        'x',
        '1 1',
        '+1',
        'Infinity',
        'NaN',
        '1'.repeat(400),
      ];
      for (const value of bad) {
        assert.deepEqual(faultyOf(readAll, { [name]: value }), [name], value);
        assert.match(problemsOf(readAll, { [name]: value })[0]!, new RegExp(`whole number from ${min} to ${max}$`));
      }
    });
  }

  const invalid: { name: string; bad: string[] }[] = [
    { name: 'MIXPANEL_REGION', bad: ['fr', 'EU', 'constructor', '__proto__'] },
    { name: 'INSERT_ID', bad: ['Content', 'toString'] },
    { name: 'OBJECT_INCLUDE', bad: [',', ' , ', '*.json,', 'a,,b', 'in/{a', 'in/[ab]', 'a\\b', '***', 'gs://b/**'] },
    { name: 'OBJECT_EXCLUDE', bad: [',', 'tmp/**,,*.crc', '*.{crc,tmp}', '[', 'x'.repeat(1_025)] },
    {
      name: 'MIXPANEL_API_URL',
      bad: [
        'api.mixpanel.com',
        'ftp://a',
        'http://',
        'https://a b',
        'javascript:1',
        'http://u:p@a',
        'http://a/?b',
        'http://a/#b',
      ],
    },
    { name: 'STORAGE_API_ENDPOINT', bad: ['127.0.0.1:80', 'gs://b', 'http:/a'] },
    { name: 'STATE_BUCKET', bad: ['B', 'ab', 'gs://bucket', 'a/b', '-bucket', 'bucket.', 'x'.repeat(300)] },
    { name: 'DEAD_LETTER_BUCKET', bad: ['B', 'gs://bucket', 'a/b', 'x'.repeat(300)] },
    {
      name: 'OBJECT_TOPIC',
      bad: [
        't',
        'projects/p/subscriptions/t',
        'projects/p/topics/',
        'projects//topics/t',
        'x/projects/p/topics/t',
        'projects/p/topics/t/u',
        'projects/p/topics/t t',
      ],
    },
    {
      name: 'EVENT_SUBSCRIPTION',
      bad: ['s', 'projects/p/topics/s', 'projects/p/subscriptions/', 'projects/p/subscriptions/s/x'],
    },
  ];
  for (const { name, bad } of invalid) {
    test(`${name} is refused if its value is not allowed`, () => {
      for (const value of bad) assert.ok(faultyOf(readAll, { [name]: value }).includes(name), value);
    });
  }

  for (const [name, read, env] of [
    ['STATE_BUCKET', readImportObjectConfig, object],
    ['OBJECT_TOPIC', readImportObjectConfig, object],
    ['STATE_BUCKET', readDrainSubscriptionConfig, drain],
    ['EVENT_SUBSCRIPTION', readDrainSubscriptionConfig, drain],
  ] as const) {
    test(`${name} is required by ${read.name}`, () => {
      for (const value of [undefined, '', ' ']) assert.deepEqual(faultyOf(read, { ...env, [name]: value }), [name]);
    });
  }

  test('dead letters go to the bucket of DEAD_LETTER_BUCKET', () => {
    for (const value of ['letters', ' letters ']) {
      const { stateBucket, deadLetterBucket } = readImportObjectConfig({ ...object, DEAD_LETTER_BUCKET: value });
      assert.deepEqual([stateBucket, deadLetterBucket], ['state-bucket', 'letters']);
      assert.equal(readDrainSubscriptionConfig({ ...drain, DEAD_LETTER_BUCKET: value }).deadLetterBucket, 'letters');
    }
  });

  test('variables of another function are not checked', () => {
    assert.deepEqual(
      problemsOf(readImportObjectConfig, { ...object, EVENT_SUBSCRIPTION: '?', DRAIN_IDLE_SECONDS: '?' }),
      [],
    );
    assert.deepEqual(
      problemsOf(readDrainSubscriptionConfig, { ...drain, OBJECT_TOPIC: '?', IMPORT_LEASE_SECONDS: '?' }),
      [],
    );
    assert.deepEqual(problemsOf(readCoreConfig, { ...account, STATE_BUCKET: '?', IMPORT_DEADLINE_SECONDS: '?' }), []);
  });
});

describe('credentials', () => {
  test('a project token is the user name, with an empty password', () => {
    for (const projectId of [undefined, '42']) {
      const { mixpanel } = readCoreConfig({ MIXPANEL_PROJECT_TOKEN: 'token', MIXPANEL_PROJECT_ID: projectId });
      assert.deepEqual({ ...mixpanel }, { ...coreDefaults.mixpanel, projectId, username: 'token', password: '' });
    }
  });

  const names = Object.keys(account) as (keyof typeof account)[];
  const cases: { name: string; env: Environment; faulty: string[] }[] = [
    { name: 'are missing altogether', env: {}, faulty: ['MIXPANEL_PROJECT_ID,'] },
    ...names.map((missing) => ({
      name: `lack ${missing}`,
      env: { ...account, [missing]: undefined },
      faulty: [missing],
    })),
    ...names.map((only) => ({
      name: `are ${only} alone`,
      env: { [only]: account[only] },
      faulty: names.filter((name) => name !== only),
    })),
    {
      name: 'are both of a service account and a token',
      env: { ...account, MIXPANEL_PROJECT_TOKEN: 'token' },
      faulty: ['MIXPANEL_PROJECT_TOKEN'],
    },
    {
      name: 'are a token and a secret',
      env: { MIXPANEL_SERVICE_ACCOUNT_SECRET: 'x', MIXPANEL_PROJECT_TOKEN: 'token' },
      faulty: ['MIXPANEL_PROJECT_TOKEN'],
    },
  ];
  for (const { name, env, faulty } of cases) {
    test(`credentials are refused if they ${name}`, () => assert.deepEqual(faultyOf(readCoreConfig, env), faulty));
  }
});

describe('the deadline', () => {
  const cases: { deadline: string | undefined; timeout: string | undefined; isGood: boolean }[] = [
    { deadline: undefined, timeout: undefined, isGood: true },
    { deadline: '500', timeout: '60000', isGood: true },
    { deadline: '500', timeout: '60001', isGood: false },
    { deadline: '501', timeout: undefined, isGood: false },
    { deadline: undefined, timeout: '60001', isGood: false },
    { deadline: '559', timeout: '1000', isGood: true },
    { deadline: '560', timeout: '1000', isGood: false },
    { deadline: '1', timeout: '559000', isGood: true },
    { deadline: '1', timeout: '559001', isGood: false },
  ];
  for (const { deadline, timeout, isGood } of cases) {
    test(`a deadline of ${deadline} s with a time-out of ${timeout} ms ${isGood ? 'leaves' : 'does not leave'} 20 of 580 s`, () => {
      const env = { IMPORT_DEADLINE_SECONDS: deadline, IMPORT_REQUEST_TIMEOUT_MS: timeout };
      const expected = isGood ? [] : ['IMPORT_DEADLINE_SECONDS'];
      assert.deepEqual(faultyOf(readImportObjectConfig, { ...object, ...env }), expected);
      assert.deepEqual(faultyOf(readDrainSubscriptionConfig, { ...drain, ...env }), expected);
    });
  }

  test('a time-out is not limited by the deadline in a terminal', () => {
    assert.deepEqual(problemsOf(readCoreConfig, { ...account, IMPORT_REQUEST_TIMEOUT_MS: '600000' }), []);
  });
});

describe('the problems', () => {
  const marks = (name: string) => `swordfish-${name}`;
  const all = [
    'MIXPANEL_REGION',
    'MIXPANEL_API_URL',
    'STATE_BUCKET',
    'DEAD_LETTER_BUCKET',
    'OBJECT_TOPIC',
    'IMPORT_MAX_BATCH_EVENTS',
    'IMPORT_MAX_BATCH_BYTES',
    'IMPORT_MAX_CONCURRENCY',
    'IMPORT_MAX_BYTES_IN_FLIGHT',
    'IMPORT_GZIP_LEVEL',
    'IMPORT_REQUEST_TIMEOUT_MS',
    'IMPORT_RETRY_MIN_DELAY_MS',
    'IMPORT_RETRY_MAX_DELAY_MS',
    'IMPORT_DEADLINE_SECONDS',
    'IMPORT_LEASE_SECONDS',
    'INSERT_ID',
    'STORAGE_API_ENDPOINT',
  ];
  // Upper case, blanks: not valid in the name of a bucket.
  const env: Environment = Object.fromEntries(all.map((name) => [name, `${marks(name)} ?`]));
  const secrets = {
    MIXPANEL_PROJECT_TOKEN: marks('token'),
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: marks('username'),
    MIXPANEL_SERVICE_ACCOUNT_SECRET: marks('secret'),
  };

  test('all problems are reported together, each variable once', () => {
    const faulty = faultyOf(readImportObjectConfig, { ...env, ...secrets });
    assert.deepEqual([...faulty].sort(), [...all, 'MIXPANEL_PROJECT_TOKEN'].sort());
  });

  test('problems never contain a value', () => {
    for (const read of [readCoreConfig, readImportObjectConfig, readDrainSubscriptionConfig]) {
      const subscription = { EVENT_SUBSCRIPTION: marks('EVENT_SUBSCRIPTION'), DRAIN_IDLE_SECONDS: marks('idle') };
      assert.throws(
        () => read({ ...env, ...secrets, ...subscription }),
        (error: ConfigError) => !`${error.stack} ${JSON.stringify(error)} ${error.problems}`.includes('swordfish'),
      );
    }
  });
});

describe('the target', () => {
  const cases: { name: string; env?: Environment; args: string[]; expected: string | undefined }[] = [
    { name: 'FUNCTION_TARGET', env: { FUNCTION_TARGET: 'importObject' }, args: [], expected: 'importObject' },
    { name: 'FUNCTION_TARGET', env: { FUNCTION_TARGET: 'drainSubscription' }, args: [], expected: 'drainSubscription' },
    { name: '--target X', args: ['node', 'ff', '--target', 'drainSubscription'], expected: 'drainSubscription' },
    { name: '--target=X', args: ['node', 'ff', '--target=importObject', '--port=1'], expected: 'importObject' },
    {
      name: '--target, which precedes FUNCTION_TARGET as in the framework',
      env: { FUNCTION_TARGET: 'importObject' },
      args: ['--target=drainSubscription'],
      expected: 'drainSubscription',
    },
    {
      name: 'FUNCTION_TARGET and not by --targets',
      env: { FUNCTION_TARGET: 'importObject' },
      args: ['--targets=x'],
      expected: 'importObject',
    },
    { name: 'nothing', args: [], expected: undefined },
    { name: 'an empty value', env: { FUNCTION_TARGET: '' }, args: [], expected: undefined },
    {
      name: '--target without a value',
      env: { FUNCTION_TARGET: 'importObject' },
      args: ['--target'],
      expected: undefined,
    },
    {
      name: '--target= without a value',
      env: { FUNCTION_TARGET: 'importObject' },
      args: ['--target='],
      expected: undefined,
    },
    { name: 'another function', env: { FUNCTION_TARGET: 'swordfish' }, args: [], expected: undefined },
    { name: 'another function', args: ['--target', 'swordfish'], expected: undefined },
  ];
  for (const { name, env = {}, args, expected } of cases) {
    test(`the target is ${expected ?? 'refused'} if it is given by ${name} (${args.join(' ')})`, () => {
      if (expected !== undefined) return assert.equal(readTarget(env, args), expected);
      assert.throws(
        () => readTarget(env, args),
        (error) =>
          error instanceof ConfigError && /FUNCTION_TARGET/.test(error.message) && !/swordfish/.test(error.message),
      );
    });
  }
});
