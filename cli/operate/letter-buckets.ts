/** Where dead letters are: in a bucket of their own, and in the state bucket, where they were before they had one. */

import type { Environment } from '../../functions/config.ts';

/**
 * Adds to each address in one of the deployment's two buckets the same in the other one, if the environment names both.
 *
 * @param args addresses, files and folders
 * @param env  with DEAD_LETTER_BUCKET and STATE_BUCKET
 */
export function inBothBuckets(args: readonly string[], env: Environment): string[] {
  const { DEAD_LETTER_BUCKET, STATE_BUCKET } = env;
  if (!DEAD_LETTER_BUCKET || !STATE_BUCKET) return [...args];
  const buckets = [DEAD_LETTER_BUCKET, STATE_BUCKET].map((bucket) => `gs://${bucket.trim()}`);
  return args.flatMap((arg) => {
    const named = buckets.find((bucket) => arg === bucket || arg.startsWith(`${bucket}/`));
    if (named === undefined) return arg;
    return [arg, ...buckets.filter((other) => other !== named).map((other) => other + arg.slice(named.length))];
  });
}
