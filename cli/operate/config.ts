/** Reads what the operators' commands are to know of the deployment: from the command line, else from the environment. */

import { type Environment, type ImportObjectConfig, readImportObjectConfig } from '../../functions/config.ts';
import { UsageError } from '../import/arguments.ts';
import { withoutCredentials } from '../import/environment.ts';
import { parseAddress } from './address.ts';

/** What a command is told of the deployment. */
export interface Deployment {
  /** `--state`: the state bucket, as `gs://STATE` or by its name. */
  state?: string | undefined;
  /** `--topic`: `projects/P/topics/T`; `unused` where nothing is published. */
  topic?: string | undefined;
}

/**
 * Reads the configuration of importObject, without credentials for Mixpanel.
 *
 * @throws {@link UsageError} where the state bucket or the topic is not given; ConfigError where the configuration is wrong
 */
export function readDeployment(env: Environment, { state, topic }: Deployment): ImportObjectConfig {
  const stateBucket = state === undefined ? env.STATE_BUCKET : bucketOf(state);
  const objectTopic = topic === 'unused' ? 'projects/unused/topics/unused' : (topic ?? env.OBJECT_TOPIC);
  if (!stateBucket) throw new UsageError('Where are the checkpoints? Give --state gs://STATE, or set STATE_BUCKET');
  if (!objectTopic) {
    throw new UsageError('Where are notifications published? Give --topic projects/P/topics/T, or set OBJECT_TOPIC');
  }
  return readImportObjectConfig(withoutCredentials({ ...env, STATE_BUCKET: stateBucket, OBJECT_TOPIC: objectTopic }));
}

function bucketOf(state: string): string {
  const { bucket, name } = parseAddress(state.startsWith('gs://') ? state : `gs://${state}`);
  if (name !== '') throw new UsageError(`--state ${state}: must be a bucket alone, gs://${bucket}`);
  return bucket;
}
