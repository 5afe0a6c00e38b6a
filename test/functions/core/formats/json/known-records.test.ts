import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { kindOf } from '../../../../../cli/import/findings.ts';
import { MessageReader } from '../../../../../functions/core/formats/read-message.ts';
import { insertIdByContent } from '../../../../../functions/core/insert-id.ts';
import { messageBlocks, parse } from '../../../../support/parsing.ts';

const advice = 'not a Mixpanel event. Use a mapping or a transform to make events of such records';

/** The reasons against what `text` holds, as an object and as a message. */
function reasonsIn(text: string | Buffer): string[] {
  const content = Buffer.from(text as string);
  const reasons = parse(content).rejections.map(({ reason }) => textOf(reason));
  const blocks = messageBlocks(new MessageReader(insertIdByContent), content);
  const ofMessage = blocks.flatMap(({ rejections }) => rejections.map(({ reason }) => textOf(reason)));
  assert.deepEqual(ofMessage, reasons);
  return reasons;
}

function textOf({ field, message }: { field: string; message: string }): string {
  return `${field}: ${message}`;
}

describe('a record that another tool exported', () => {
  const rows: [name: string, record: object, reason: string][] = [
    [
      'a GA4 row',
      { event_date: '20260101', event_timestamp: '1767225600123456', event_name: 'page_view', event_params: [] },
      'event: missing: looks like a row of the GA4 export: use the mapping {"from":"ga4"}',
    ],
    [
      'an Amplitude event',
      { event_type: 'Buy', amplitude_id: 1, event_time: '2026-01-01 00:00:00.123000' },
      'event: missing: looks like an event of the Amplitude export: use the mapping {"from":"amplitude"}',
    ],
    [
      'a Segment page call',
      { type: 'page', anonymousId: 'a', messageId: 'm', channel: 'client', properties: {} },
      'event: missing: looks like a Segment call: use the mapping {"from":"segment"}',
    ],
    [
      'a RudderStack identify call',
      { type: 'identify', userId: 'u', rudderId: 'r', context: {} },
      'event: missing: looks like a RudderStack call: use the mapping {"from":"rudderstack"}',
    ],
    [
      'a PostHog event with properties as text',
      { uuid: 'u', event: '$pageview', distinct_id: 'd', properties: '{}', timestamp: '2026-01-01T00:00:00Z' },
      'properties: not an object: looks like an event of the PostHog export: use the mapping {"from":"posthog"}',
    ],
    [
      'JSON of a Snowplow SDK',
      { event: 'page_view', collector_tstamp: '2026-01-01T00:00:00Z' },
      'properties: missing: looks like Snowplow enriched events: use the mapping {"from":"snowplow"}',
    ],
    [
      'a Cloud Logging entry',
      { insertId: 'a', logName: 'projects/p/logs/e', jsonPayload: { event: 'a', properties: {} } },
      'event: missing: looks like a Cloud Logging entry: use a transform (see docs/transform.md)',
    ],
    [
      'an object around events',
      { sentAt: 1, events: [{ event: 'a', properties: {} }] },
      'event: missing: looks like an object around events: use a transform (see docs/transform.md)',
    ],
    ['an object of another kind', { name: 'a', type: 'page', list: [], logName: 'l' }, `event: missing: ${advice}`],
    ['a BigQuery row', { event: 'Buy', time: '1767225600', distinct_id: 'u' }, `properties: missing: ${advice}`],
  ];
  for (const [name, record, reason] of rows) {
    test(`The reason against ${name} says what to do`, () => {
      const line = `${JSON.stringify(record)}\n`;
      assert.deepEqual(reasonsIn(line.repeat(3)), [reason, reason, reason]);
    });
  }

  test('The reasons against files of exporters say what to do', async () => {
    for (const [name, count, reason] of [
      ['ga4.ndjson', 3, /GA4 export/],
      ['amplitude.ndjson', 3, /Amplitude export/],
      ['logentry.ndjson', 3, /a Cloud Logging entry/],
      ['wrapped.json', 1, /an object around events/],
      ['bigquery.ndjson', 3, /Use a mapping or a transform/],
      ['properties-string.ndjson', 3, /^properties: not an object: not a Mixpanel event/],
    ] as const) {
      const reasons = reasonsIn(await readFile(new URL(`../../../../inputs/${name}`, import.meta.url)));
      assert.equal(reasons.length, count);
      for (const found of reasons) assert.match(found, reason);
    }
  });

  test('A record that a mapping will make an event of is not judged by its look', () => {
    const content = Buffer.from('{"event_name":"a","event_params":[]}\n');
    const { records, rejections } = parse(content, { isMapped: true });
    assert.deepEqual([records.length, rejections.length], [1, 0]);
  });
});

describe('Snowplow enriched events', () => {
  const expected = 'record: looks like Snowplow enriched events: use the mapping {"from":"snowplow"}';
  const uuid = 'c6ef3124-b53a-4b13-a233-0088f79dcbcb';
  const line = (fields: number, id = uuid) => {
    const row = Array.from({ length: fields }, (_, index) => `f${index}`);
    row[6] = id;
    row[52] = '{"schema":"iglu:com.acme/a/jsonschema/1-0-0","data":[{"a":[1,2]}]}';
    return `${row.join('\t')}\n`;
  };

  for (const fields of [108, 120, 128, 131]) {
    test(`Lines of ${fields} fields are one rejection, although they hold JSON objects`, () => {
      assert.deepEqual(reasonsIn(line(fields).repeat(2_000)), [expected]);
      assert.deepEqual(reasonsIn(line(fields)), [expected]);
      assert.deepEqual(reasonsIn(`# made by us\n${line(fields, 'not-a-uuid')}`), [expected]);
    });
  }

  test('Lines of fewer or more fields, and of another seventh field, are not taken for Snowplow', () => {
    for (const text of [line(107, 'x').repeat(5), line(132, 'x').repeat(5), `${'a\t'.repeat(18)}b\n`.repeat(3)]) {
      for (const reason of reasonsIn(text)) assert.notEqual(reason, expected);
    }
  });

  test('A line among events costs its own records, which say what it is', () => {
    const event = '{"event":"a","properties":{}}\n';
    const reasons = reasonsIn(`${event}${line(131)}${event}`);
    assert.ok(reasons.length > 1);
    assert.equal(reasons[0], expected);
    assert.ok(
      reasons.includes('event: missing: looks like Snowplow enriched events: use the mapping {"from":"snowplow"}'),
    );
    const content = Buffer.from(`${event}${line(131)}${event}`);
    assert.equal(parse(content).records.length, 2);
  });
});

describe('delimited text', () => {
  const rows: [name: string, text: string, reason: string][] = [
    ['commas', 'event,time,user\nBuy,1,a\nBuy,2,b\n', 'CSV: use a mapping with "format":"csv"'],
    ['commas, without a last line end', 'event,time\nBuy,1', 'CSV: use a mapping with "format":"csv"'],
    ['commas in quotes', '\ufeffa,b\r\n"1,2",3\r\n"4, ""5""",6\r\n', 'CSV: use a mapping with "format":"csv"'],
    ['a field of two lines', `a,b\n"x\ny",2\n${'1,2\n'.repeat(8)}`, 'CSV: use a mapping with "format":"csv"'],
    ['tabs', 'event\ttime\nBuy, now\t1\nBuy\t2\n', 'TSV: use a mapping with "format":"tsv"'],
    ['semicolons', 'a;b\n1,5;2\n', 'CSV: use a mapping with "format":{"delimiter":";"}'],
    ['bars', 'a|b|c\n1|2|3\n', 'CSV: use a mapping with "format":{"delimiter":"|"}'],
    ['many lines', `a,b\n${'1,2\n'.repeat(50_000)}`, 'CSV: use a mapping with "format":"csv"'],
  ];
  for (const [name, text, look] of rows) {
    test(`Text with ${name} is one rejection that names its format`, () => {
      assert.deepEqual(reasonsIn(text), [`record: looks like ${look}`]);
    });
  }

  for (const [name, text] of [
    ['lines of different lengths', 'one, two\nthree\nfour, five, six\nseven\n'],
    ['one field', 'a\nb\nc\n'],
    ['arrays', '[1,2]\n[3,4]\n'],
    ['Python dictionaries', "{'a':1,'b':2}\n{'a':3,'b':4}\n"],
    ['binary data', 'a,b\n\0,1\n\0,2\n'],
  ] as const) {
    test(`Content that is not delimited text is not taken for it: ${name}`, () => {
      const [reason, ...others] = reasonsIn(text);
      assert.match(reason!, /^record: no JSON object among the first records\. The first one: not /);
      assert.deepEqual(others, []);
    });
  }
});

describe('content without a JSON object', () => {
  test('Equal content of different lengths has one kind of reason', () => {
    const kinds = [2, 30, 1_000, 5_000].map((lines) => kindOf(reasonsIn('2026-01-01 started\n'.repeat(lines))[0]!));
    assert.deepEqual(
      [...new Set(kinds)],
      ['record: no JSON object among the first records. The first one: not JSON: unexpected character'],
    );
  });
});
