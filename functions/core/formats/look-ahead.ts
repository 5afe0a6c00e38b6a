/** Looks at the first bytes of a stream, and leaves them in it. */

/** The first bytes, and all of them again. */
export interface LookedAhead {
  /** As many bytes as were asked for; fewer if the stream ends, or fails, before. */
  head: Buffer;
  /** The whole stream; fails where it failed. */
  chunks: AsyncIterable<Buffer>;
}

/** @param chunks each may be overwritten by the next; the same is true of what is returned */
export async function lookAhead(chunks: AsyncIterable<Buffer>, bytes: number): Promise<LookedAhead> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  let failure: { error: unknown } | undefined;
  try {
    while (length < bytes) {
      const next = await iterator.next();
      if (next.done) break;
      first.push(Buffer.from(next.value));
      length += next.value.length;
    }
  } catch (error) {
    failure = { error };
  }
  return { head: Buffer.concat(first).subarray(0, bytes), chunks: continued(first, iterator, failure) };
}

async function* continued(
  first: readonly Buffer[],
  iterator: AsyncIterator<Buffer>,
  failure: { error: unknown } | undefined,
) {
  try {
    yield* first;
    if (failure !== undefined) throw failure.error;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
