/** The environment of commands that send nothing. */

import type { Environment } from '../../functions/config.ts';

/** What sends nothing needs no credentials for Mixpanel, and those that are set play no part. */
export function withoutCredentials(environment: Environment): Environment {
  return {
    ...environment,
    MIXPANEL_PROJECT_TOKEN: 'unused',
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: undefined,
    MIXPANEL_SERVICE_ACCOUNT_SECRET: undefined,
  };
}
