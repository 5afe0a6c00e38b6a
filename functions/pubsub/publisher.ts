/** Publishes notifications. */

import { PubSub, type Topic } from '@google-cloud/pubsub';
import { CALL_OPTIONS } from './client.ts';

/** @param topic `projects/P/topics/T` */
export function createPublisher(topic: string): Topic {
  return new PubSub({ projectId: topic.split('/')[1]! }).topic(topic, { gaxOpts: CALL_OPTIONS });
}
