import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Block } from '../../../functions/core/block.ts';
import type { MixpanelEvent } from '../../../functions/core/event.ts';
import { transformBlock } from '../../../functions/core/events.ts';
import { insertIdByContent } from '../../../functions/core/insert-id.ts';
import { type Batch, BatchBuilder } from '../../../functions/core/mixpanel/batch.ts';
import type { Failure } from '../../../functions/core/mixpanel/response.ts';
import { recordOutcomes } from '../../../functions/core/outcomes.ts';
import { parse } from '../../support/parsing.ts';
import { eventText } from '../../support/pipeline.ts';
import { addAllPassed } from '../../support/sending.ts';

function blocksOf(...contents: string[]): Block[] {
  return contents.flatMap((content) => parse(Buffer.from(content), { blockBytes: Number.MAX_SAFE_INTEGER }).blocks);
}

/** A batch of all records of these blocks, whose bytes are let go then. */
async function batchOf(blocks: Block[]): Promise<Batch> {
  const builder = new BatchBuilder();
  for (const block of blocks) {
    addAllPassed(builder, block);
    block.bytes = Buffer.alloc(0);
  }
  return builder.seal(1);
}

function idOf(record: string): string {
  return createHash('sha256').update(record).digest('hex').slice(0, 24);
}

const failure = (index: number): Failure => ({ index, field: `f${index}`, message: `m${index}` });

describe('recordOutcomes', () => {
  test('counts every event as imported in its block where nothing failed', async () => {
    const blocks = blocksOf(`${eventText('a')}\n${eventText('b')}\n`, `${eventText('c')}\n`);
    await recordOutcomes(await batchOf(blocks), []);
    assert.deepEqual(
      blocks.map(({ counts }) => counts.imported),
      [2, 1],
    );
    assert.deepEqual(
      blocks.flatMap(({ rejections }) => rejections),
      [],
    );
  });

  test('makes rejections of the failures, with the record as it came, its place and the id that was sent', async () => {
    const plain = eventText('plain');
    const spliced = eventText(undefined, { n: 1 });
    const emptyProperties = '{"properties":{ },"event":"e"}';
    const emptyId = '{"event":"e","properties":{"$insert_id":null,"long":12345678901234567890}}';
    const pretty = '{\n  "event": "e",\r\n  "properties": {}\n}';
    const prettyWithId = '{\n  "event": "é",\n  "properties": {"$insert_id":"p"}\n}';
    const records = [plain, spliced, emptyProperties, emptyId, pretty, prettyWithId];
    const content = `[${records.join(',\n')}]`;
    const blocks = blocksOf(content);
    const failures = records.map((_, index) => failure(index));
    await recordOutcomes(await batchOf(blocks), failures);
    const { rejections, counts } = blocks[0]!;
    assert.deepEqual(counts, { read: 6, expanded: 0, imported: 0, rejected: 6, dropped: 0 });
    assert.deepEqual(
      rejections.map(({ record }) => record.toString()),
      records,
    );
    assert.deepEqual(
      rejections.map(({ bytes }) => bytes),
      records.map((record) => Buffer.byteLength(record)),
    );
    assert.deepEqual(
      rejections.map(({ reason }) => reason),
      failures.map(({ field, message }) => ({ field, message })),
    );
    assert.deepEqual(
      rejections.map(({ insertId }) => insertId),
      ['plain', idOf(spliced), idOf(emptyProperties), idOf(emptyId), idOf(pretty), 'p'],
    );
    for (const [index, { source }] of rejections.entries()) {
      assert.ok('offset' in source);
      const offset = content.indexOf(records[index]!);
      assert.equal(Buffer.from(content).subarray(source.offset).toString().startsWith(records[index]!), true);
      assert.equal(source.line, content.slice(0, offset).split('\n').length);
    }
  });

  test('finds the right events among many, the first and the last included, whichever fail', async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `id-${index}`);
    for (const failed of [[0], [49], [0, 49], [3, 4, 5, 30], [...ids.keys()]]) {
      const lines = ids.map((id) => `${eventText(id)}\n`);
      const blocks = blocksOf(lines.slice(0, 20).join(''), lines.slice(20).join(''));
      await recordOutcomes(await batchOf(blocks), failed.map(failure));
      const rejections = blocks.flatMap((block) => block.rejections);
      assert.deepEqual(
        rejections.map(({ insertId }) => insertId),
        failed.map((index) => ids[index]!),
      );
      assert.deepEqual(
        rejections.map(({ record }) => `${record}\n`),
        failed.map((index) => lines[index]!),
      );
      const lineOf = (index: number) => (index < 20 ? index + 1 : index - 19);
      assert.deepEqual(
        rejections.map(({ source }) => 'line' in source && source.line),
        failed.map(lineOf),
      );
      assert.equal(blocks[0]!.counts.rejected, failed.filter((index) => index < 20).length);
      assert.equal(blocks[1]!.counts.imported, 30 - failed.filter((index) => index >= 20).length);
    }
  });

  test('tells which of several events of a record failed, and keeps that record for each', async () => {
    const record = '{"event":"e","properties":{"long":12345678901234567890}}';
    const [block] = blocksOf(`${record}\n`) as [Block];
    const several = ({ properties }: MixpanelEvent) => ['a', 'b', 'c'].map((event) => ({ event, properties }));
    const builder = new BatchBuilder();
    for (const event of transformBlock(block, several, insertIdByContent, [])) builder.addText(event, event.text);
    await recordOutcomes(await builder.seal(1), [failure(0), failure(2)]);
    assert.deepEqual(
      block.rejections.map(({ source }) => source.event),
      [0, 2],
    );
    assert.deepEqual(
      block.rejections.map(({ insertId }) => insertId),
      [idOf(`${record}\n0`), idOf(`${record}\n2`)],
    );
    assert.deepEqual(
      block.rejections.map((rejection) => rejection.record.toString()),
      [record, record],
    );
    assert.deepEqual(block.counts, { read: 1, expanded: 2, imported: 1, rejected: 2, dropped: 0 });
  });

  const ids: [id: string, expected: string | undefined][] = [
    ['0', '0'],
    ['false', 'false'],
    ['{"toString":1,"valueOf":2}', '{"toString":1,"valueOf":2}'],
    ['[]', '[]'],
    ['"\\u0061"', 'a'],
  ];
  for (const [id, expected] of ids) {
    test(`survives ${id} for an id, which Mixpanel refuses`, async () => {
      const blocks = blocksOf(`{"event":"e","properties":{"$insert_id":${id}}}\n`);
      await recordOutcomes(await batchOf(blocks), [failure(0)]);
      assert.equal(blocks[0]!.rejections[0]!.insertId, expected);
    });
  }

  test('survives an event whose properties have written themselves as something else', async () => {
    for (const written of [undefined, null, 'text', 5]) {
      const [block] = blocksOf(`${eventText('a')}\n`) as [Block];
      const transform = () => ({ event: 'e', properties: { $insert_id: 'x', toJSON: () => written } });
      const builder = new BatchBuilder();
      for (const event of transformBlock(block, transform, insertIdByContent, [])) builder.addText(event, event.text);
      await recordOutcomes(await builder.seal(1), [failure(0)]);
      assert.equal(block.rejections[0]!.insertId, undefined);
    }
  });
});
