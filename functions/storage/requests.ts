/** What all requests to Cloud Storage have in common, whichever client makes them; loads none. */

/** The HTTP status of an error of the client, if it has one. */
export function statusOf(error: unknown): number | undefined {
  const { code, status } = error as { code?: unknown; status?: unknown };
  return [code, status].map(Number).find((number) => number >= 100 && number < 600);
}

/** Whether the same request may succeed later: its connection broke, it timed out, or was put off. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/**
 * Adds a timeout. Without it the client waits forever; its own `timeout` option has no effect.
 *
 * @param signal what else ends the waiting
 * @throws an error that {@link isTransient}, after `timeoutMs`; the signal's reason; whatever the request throws
 */
export async function withTimeout<Value>(
  request: Promise<Value>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Value> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const onAbort = () => reject(signal!.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([request, over]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A CRC32C as Cloud Storage writes it: base64 of its big-endian bytes. */
export function encodeChecksum(checksum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(checksum);
  return bytes.toString('base64');
}
