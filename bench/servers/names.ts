/** Names of what the functions work with. */
export const NAMES = {
  bucket: 'bench-import',
  topic: 'projects/bench/topics/events',
  objectTopic: 'projects/bench/topics/objects',
  subscription: 'projects/bench/subscriptions/events',
} as const;
