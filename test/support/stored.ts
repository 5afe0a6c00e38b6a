/** What the tests of the storage adapters share: a local Cloud Storage with one bucket, and the client of the functions. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Bucket } from '@google-cloud/storage';
import { type Clock, systemClock } from '../../functions/core/run.ts';
import { createReadingStorage } from '../../functions/storage/client.ts';
import {
  type StorageFault,
  type StorageRequest,
  type StorageServer,
  startStorage,
} from '../../local-cloud/storage/server.ts';

/** A bucket and its server. */
export interface Stored {
  server: StorageServer;
  /** Of a client that does not retry by itself. */
  bucket: Bucket;
  /** The requests so far. */
  requests: StorageRequest[];
}

/** Starts a Cloud Storage, which ends with the test. */
export async function startStored(t: TestContext): Promise<Stored> {
  const folder = await mkdtemp(join(tmpdir(), 'storage-test-'));
  const server = await startStorage({ folder });
  server.createBucket('bucket');
  const requests: StorageRequest[] = [];
  server.on('request', (request) => requests.push(request));
  t.after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });
  return { server, requests, bucket: createReadingStorage(server.url).bucket('bucket') };
}

/** A fault for the first requests of a kind, one each. */
export function firstOf(kind: StorageRequest['kind'], ...faults: StorageFault[]) {
  const rest = [...faults];
  return (request: StorageRequest) => (request.kind === kind ? rest.shift() : undefined);
}

/** A clock that does not sleep, and records for how long it would have. */
export function sleeplessClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  return {
    ...systemClock,
    random: () => 0.5,
    slept,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      slept.push(ms);
    },
  };
}

/** Waits, while others have their turns, until something is so; fails after ten seconds in which it is not. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!isSo()) {
    assert.ok(Date.now() < end, `it is never so: ${isSo}`);
    await turn();
  }
}
