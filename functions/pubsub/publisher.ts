/** Publishes notifications. */

import { PubSub, type Topic } from '@google-cloud/pubsub';

/** @param topic `projects/P/topics/T` */
export function createPublisher(topic: string): Topic {
  return new PubSub({ projectId: topic.split('/')[1]! }).topic(topic);
}
