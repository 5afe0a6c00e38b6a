/** Makes clients for Pub/Sub; PUBSUB_EMULATOR_HOST leads them elsewhere, as it does all Pub/Sub clients. */

import { type CallOptions, PubSub, v1 } from '@google-cloud/pubsub';

/** @param resource `projects/P/…`, which says the project */
export async function createSubscriber(resource: string): Promise<v1.SubscriberClient> {
  const pubsub = new PubSub({ projectId: resource.split('/')[1]! });
  // A client of the lower level does not look for the emulator by itself.
  const config = await pubsub.getClientConfig();
  return new v1.SubscriberClient(config as ConstructorParameters<typeof v1.SubscriberClient>[0]);
}

/** How long a call is tried again, so that an invocation ends in time: the client itself does so for 10 to 30 minutes. */
export const CALL_OPTIONS: CallOptions = {
  retry: {
    backoffSettings: {
      initialRetryDelayMillis: 100,
      retryDelayMultiplier: 2,
      maxRetryDelayMillis: 2_000,
      initialRpcTimeoutMillis: 5_000,
      rpcTimeoutMultiplier: 1,
      maxRpcTimeoutMillis: 5_000,
      totalTimeoutMillis: 10_000,
    },
  },
};
