/** Reads what the operators' commands are to know of the deployment: from the command line, else from the environment. */

import { type Environment, type ImportObjectConfig, readImportObjectConfig } from '../../functions/config.ts';
import { UsageError } from '../import/arguments.ts';
import { withoutCredentials } from '../import/environment.ts';
import { parseAddress } from './address.ts';

/** What a command is told of the deployment. */
export interface Deployment {
  /** `--state`: the state bucket, as `gs://STATE` or by its name. */
  state?: string | undefined;
  /** `--dead-letters`: the bucket of dead letters, likewise. */
  deadLetters?: string | undefined;
  /** `--topic`: `projects/P/topics/T`; `unused` where nothing is published. */
  topic?: string | undefined;
}

/**
 * Reads the configuration of importObject, without credentials for Mixpanel.
 *
 * @throws {@link UsageError} where the state bucket or the topic is not given; ConfigError where the configuration is wrong
 */
export function readDeployment(env: Environment, deployment: Deployment): ImportObjectConfig {
  const { state, deadLetters, topic } = deployment;
  const stateBucket = state === undefined ? env.STATE_BUCKET : bucketOf('--state', state);
  const deadLetterBucket = deadLetters === undefined ? env.DEAD_LETTER_BUCKET : bucketOf('--dead-letters', deadLetters);
  const objectTopic = topic === 'unused' ? 'projects/unused/topics/unused' : (topic ?? env.OBJECT_TOPIC);
  if (!stateBucket) throw new UsageError('Where are the checkpoints? Give --state gs://STATE, or set STATE_BUCKET');
  if (!objectTopic) {
    throw new UsageError('Where are notifications published? Give --topic projects/P/topics/T, or set OBJECT_TOPIC');
  }
  const names = { STATE_BUCKET: stateBucket, DEAD_LETTER_BUCKET: deadLetterBucket, OBJECT_TOPIC: objectTopic };
  return readImportObjectConfig(withoutCredentials({ ...env, ...names }));
}

function bucketOf(option: string, value: string): string {
  const { bucket, name } = parseAddress(value.startsWith('gs://') ? value : `gs://${value}`);
  if (name !== '') throw new UsageError(`${option} ${value}: must be a bucket alone, gs://${bucket}`);
  return bucket;
}
