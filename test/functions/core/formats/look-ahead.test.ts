import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lookAhead } from '../../../../functions/core/formats/look-ahead.ts';

/** A stream whose chunks are overwritten by the next, and what became of it. */
function streamOf(pieces: readonly string[], error?: Error) {
  const state = { isClosed: false, given: 0 };
  const buffer = Buffer.alloc(8);
  async function* chunks() {
    try {
      for (const piece of pieces) {
        state.given++;
        buffer.fill(0x2a);
        buffer.write(piece);
        yield buffer.subarray(0, piece.length);
      }
      if (error !== undefined) throw error;
    } finally {
      state.isClosed = true;
    }
  }
  return { chunks: chunks(), state };
}

async function textOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk.toString();
  return text;
}

describe('lookAhead', () => {
  test('lookAhead shows the first bytes, and leaves them in the stream', async () => {
    const { chunks, state } = streamOf(['ab', 'cd', 'ef', 'gh']);
    const ahead = await lookAhead(chunks, 3);
    assert.equal(ahead.head.toString(), 'abc');
    assert.equal(state.given, 2, 'no more is read than is needed');
    assert.equal(await textOf(ahead.chunks), 'abcdefgh');
  });

  test('lookAhead shows all of a stream that is shorter', async () => {
    const ahead = await lookAhead(streamOf(['ab']).chunks, 3);
    assert.equal(ahead.head.toString(), 'ab');
    assert.equal(await textOf(ahead.chunks), 'ab');
  });

  test('a stream that fails early fails after what it had brought', async () => {
    const error = new Error('broken');
    const { head, chunks } = await lookAhead(streamOf(['ab', 'cd'], error).chunks, 8);
    assert.equal(head.toString(), 'abcd');
    let read = '';
    await assert.rejects(
      async () => {
        for await (const chunk of chunks) read += chunk.toString();
      },
      (thrown) => thrown === error,
    );
    assert.equal(read, 'abcd');
  });

  test('a stream is closed if its reader leaves early', async () => {
    const { chunks, state } = streamOf(['ab', 'cd']);
    for await (const _ of (await lookAhead(chunks, 1)).chunks) break;
    assert.ok(state.isClosed);
  });
});
