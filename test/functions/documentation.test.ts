import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Transform } from '../../functions/core/event.ts';
import { readBlocks } from '../../functions/core/formats/read-blocks.ts';
import { mappingOf } from '../../functions/core/mappings/mapping.ts';
import { objectSource } from '../../functions/storage/object-source.ts';
import { contextOf } from '../support/parsing.ts';
import { chunksOf, startPipeline } from '../support/pipeline.ts';

/** An example of docs/transform.md: a file, lines, and what comes of them. */
interface Example {
  title: string;
  file: string;
  lines: string;
  sent: string;
}

const page = new URL('../../docs/transform.md', import.meta.url);
const text = await readFile(page, 'utf8');
const examples: Example[] = text
  .split(/^## /m)
  .flatMap((section) =>
    [...section.matchAll(/```ts\n(.*?)```.*?```json\n(.*?)```.*?```json\n(.*?)```/gs)].map(
      ([, file = '', lines = '', sent = '']) => ({ title: section.split('\n')[0]!, file, lines, sent }),
    ),
  );

describe('docs/transform.md', () => {
  test('has an example for every section with a file', () => {
    assert.equal(examples.length, text.match(/```ts\n/g)?.length);
    assert.ok(examples.length >= 10);
  });

  for (const [index, { title, file, lines, sent }] of examples.entries()) {
    test(`shows what is sent by "${title}" (example ${index + 1})`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'example-'));
      t.after(() => rm(folder, { recursive: true }));
      const path = join(folder, 'transform.mts');
      await writeFile(path, file);
      process.env.DISTINCT_ID_KEY = 'key';
      const { default: transform } = (await import(path)) as { default: Transform };
      const pipeline = await startPipeline(t);
      const object = { bucket: 'b', object: 'web/2026-01-01.ndjson', generation: '1' };
      const source = { ...objectSource(object, {}), mapping: mappingOf(transform) };
      await pipeline.import(readBlocks(chunksOf([Buffer.from(lines)]), { context: contextOf({ source }) }));
      const found = pipeline.server.events().map(({ raw }) => `${raw}\n`);
      if (process.env.UPDATE_EXAMPLES) return updateExample(sent, found.join(''), file);
      assert.equal(found.join(''), sent);
    });
  }
});

/** Writes what was sent into the page. */
async function updateExample(before: string, after: string, file: string): Promise<void> {
  const content = await readFile(page, 'utf8');
  const at = content.indexOf(file);
  const fence = content.indexOf(`comes\n\n\`\`\`json\n${before}\`\`\``, at);
  await writeFile(
    page,
    content.slice(0, fence) + content.slice(fence).replace(`\`\`\`json\n${before}`, () => `\`\`\`json\n${after}`),
  );
}
