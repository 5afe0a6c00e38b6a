/** Makes clients for Cloud Storage. */

import { EventEmitter } from 'node:events';
import { Storage } from '@google-cloud/storage';

// A download of the client puts eleven listeners on one stream; the leak warning is a false positive.
EventEmitter.defaultMaxListeners = 20;

/** @param endpoint base URL of another Cloud Storage; default: Google's, with its credentials */
export function createStorage(endpoint: string | undefined): Storage {
  return new Storage(endpoint === undefined ? {} : { apiEndpoint: endpoint, projectId: 'local' });
}

/**
 * A client for reading objects. It leaves trying again to {@link readObject}: its own way of doing so ends the process
 * on Node 24 where a read is answered 503.
 */
export function createReadingStorage(endpoint: string | undefined): Storage {
  const retryOptions = { autoRetry: false };
  return new Storage(
    endpoint === undefined ? { retryOptions } : { apiEndpoint: endpoint, projectId: 'local', retryOptions },
  );
}
