/** Publishes messages, one a request, through Pub/Sub's REST API (https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish). */

import type { Storage } from '@google-cloud/storage';
import { Gaxios } from 'gaxios';
import pRetry from 'p-retry';
import { isTransient, statusOf, withTimeout } from '../storage/requests.ts';

/** A message to be published. */
interface PubSubMessage {
  data: Buffer;
  attributes: Record<string, string>;
}

/** Where messages go, and as whom. */
export interface PublisherOptions {
  /** `projects/P/topics/T` */
  topic: string;
  /** Of a client for Cloud Storage, whose credentials are good for Pub/Sub too. */
  auth: Storage['authClient'];
  /** `host:port` of another Pub/Sub, without credentials; default: Google's. */
  emulatorHost: string | undefined;
  /** Base URL of Google's; tests give their own. */
  googleUrl?: string;
}

/** Resolves once the message is published, maybe more than once. */
export type Publish = (message: PubSubMessage) => Promise<void>;

/** Time for the credentials and for the request of one attempt, in milliseconds. */
const TIMEOUT_MS = 2_000;
/** How long new attempts are begun: the last one ends in time for an invocation to do so too. */
const MAX_RETRY_MS = 5_000;
const MIN_DELAY_MS = 100;
/** The most that is read of an answer, in decoded bytes. */
const MAX_ANSWER_BYTES = 4_000_000;
/** Characters that are told of what the server said. */
const MAX_TEXT = 500;

/**
 * A publisher with the credentials that the instance has anyway. Google's client for Pub/Sub would take 22 MB, and what
 * loading it leaves on the heap would let that of a large import grow by a further 30 MB.
 */
export function createPublisher({
  topic,
  auth,
  emulatorHost,
  googleUrl = 'https://pubsub.googleapis.com',
}: PublisherOptions): Publish {
  const [, projectId, , topicId] = topic.split('/');
  // With a scheme it is taken too, as Google's clients do.
  const base = emulatorHost === undefined ? googleUrl : `http://${emulatorHost.replace(/^https?:\/\/|\/+$/g, '')}`;
  const url = `${base}/v1/projects/${projectId}/topics/${encodeURIComponent(topicId!)}:publish`;
  const gaxios = new Gaxios();
  return async ({ data, attributes }) => {
    const attempt = async () => {
      const headers = emulatorHost === undefined ? await withTimeout(auth.getRequestHeaders(url), TIMEOUT_MS) : {};
      const messages = [{ data: data.toString('base64'), attributes }];
      const response = await gaxios.request<{ messageIds?: unknown[] } | undefined>({
        url,
        method: 'POST',
        headers,
        data: { messages },
        responseType: 'json',
        size: MAX_ANSWER_BYTES,
        redirect: 'error',
        timeout: TIMEOUT_MS,
        retry: false,
      });
      if (response.data?.messageIds?.length !== 1) throw new Error('what answered is not Pub/Sub');
    };
    try {
      await pRetry(attempt, {
        minTimeout: MIN_DELAY_MS,
        maxRetryTime: MAX_RETRY_MS,
        shouldRetry: ({ error }) => isTransient(error),
      });
    } catch (error) {
      // The error of the HTTP client carries the credentials; its text does not.
      const status = statusOf(error);
      const what = `${status === undefined ? '' : `${status}: `}${(error as Error).message.slice(0, MAX_TEXT)}`;
      throw new Error(`The notification was not published to ${topic}: ${what}`);
    }
  };
}
