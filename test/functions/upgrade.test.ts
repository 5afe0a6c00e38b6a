import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { eventText } from '../support/event.ts';
import { startGenerations } from '../support/generations.ts';

const EVENTS = 100;
const SETTLED = 40;

describe('an upgrade in the middle of an object', () => {
  let generations: Awaited<ReturnType<typeof startGenerations>>;

  before(async () => {
    generations = await startGenerations();
  });

  after(() => generations.close());

  const rows: {
    name: string;
    format: 'ndjson' | 'array';
    gzip: boolean;
    separator: string;
    around: [string, string];
  }[] = [
    { name: 'lines', format: 'ndjson', gzip: false, separator: '\n', around: ['', '\n'] },
    { name: 'compressed lines', format: 'ndjson', gzip: true, separator: '\n', around: ['', '\n'] },
    { name: 'an array', format: 'array', gzip: false, separator: ',\n', around: ['[', ']'] },
    { name: 'a compressed array', format: 'array', gzip: true, separator: ', ', around: ['[', ']'] },
  ];
  for (const { name, format, gzip, separator, around } of rows) {
    test(`continues ${name} from the previous release's checkpoint, and sends the rest exactly once`, async () => {
      const { mixpanel, upload, saveCheckpoint, checkpoint } = generations;
      const ids = Array.from({ length: EVENTS }, (_, index) => `${name.replaceAll(' ', '-')}-${index}`);
      const events = ids.map((id) => eventText(id));
      const content = Buffer.from(`${around[0]}${events.join(separator)}${around[1]}`);
      const before = mixpanel.received;
      const object = await upload(name, gzip ? gzipSync(content) : content);
      // The previous release ended a block after the line, or after the element.
      const settled =
        events.slice(0, SETTLED).join(separator).length + around[0].length + (format === 'ndjson' ? 1 : 0);
      const prefix = content.subarray(0, settled);
      await saveCheckpoint(
        object,
        JSON.stringify({
          version: 1,
          state: 'running',
          holder: '9f1c1f8e-3f6b-4a52-8f0e-0f6f0a6d1a11',
          leaseExpiresAt: null,
          format,
          gzip,
          offset: settled,
          line: prefix.toString().split('\n').length,
          checksum: crc32c(prefix),
          counts: { read: SETTLED, expanded: 0, imported: SETTLED, rejected: 0, dropped: 0 },
          takeovers: 0,
        }),
      );
      assert.equal(await generations.invoke(object), true);
      assert.equal(mixpanel.received - before, EVENTS - SETTLED);
      assert.deepEqual(
        ids.map((id) => mixpanel.count(id)),
        ids.map((_, index) => (index < SETTLED ? 0 : 1)),
      );
      const { counts } = await checkpoint(object);
      assert.deepEqual(counts, { read: EVENTS, expanded: 0, imported: EVENTS, rejected: 0, dropped: 0 });
    });
  }
});
