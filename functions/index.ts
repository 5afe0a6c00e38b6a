/** Registers the function that is the functions framework's target, and loads no more than it needs. */

import './runtime/heap.ts';
import { cloudEvent, http } from '@google-cloud/functions-framework';
import { type CoreConfig, readDrainSubscriptionConfig, readImportObjectConfig, readTarget } from './config.ts';
import { ConfigError } from './core/errors.ts';
import { createMixpanelClient } from './core/mixpanel/client.ts';
import { createSender, type Sender } from './core/mixpanel/sender.ts';
import type { CloudEvent } from './notification.ts';
import { leaveDomain } from './runtime/domain.ts';
import { createLogger, withTrace } from './runtime/log.ts';
import { handleShutdown } from './runtime/shutdown.ts';
import { VERSION } from './version.ts';

const logger = createLogger();

try {
  handleShutdown();
  const target = readTarget(process.env, process.argv);
  if (target === 'importObject') await registerImportObject();
  else await registerDrainSubscription();
  logger.info({ function: target, version: VERSION }, 'function started');
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  logger.error({ code: 'configuration', problems: error.problems }, error.message);
  process.exit(1);
}

async function registerImportObject(): Promise<void> {
  const config = readImportObjectConfig(process.env);
  const { createImportObject } = await import('./import-object.ts');
  const importObject = createImportObject(config, newSender(config), logger);
  // One declared parameter: with two the framework would wait for a callback.
  cloudEvent('importObject', (event: CloudEvent) => {
    leaveDomain();
    return importObject(event);
  });
}

async function registerDrainSubscription(): Promise<void> {
  const config = readDrainSubscriptionConfig(process.env);
  const { createDrainSubscription } = await import('./drain-subscription.ts');
  const { createSubscriber } = await import('./pubsub/client.ts');
  const subscriber = await createSubscriber(config.eventSubscription);
  const drainSubscription = createDrainSubscription(config, newSender(config), subscriber);
  const projectId = config.eventSubscription.split('/')[1]!;
  http('drainSubscription', async (request, response) => {
    leaveDomain();
    response.json(await drainSubscription(withTrace(logger, projectId, request.header('traceparent'))));
  });
}

/** One for the process: what it learns of Mixpanel's limits concerns every invocation. */
function newSender(config: CoreConfig): Sender {
  return createSender(createMixpanelClient(config.mixpanel), {
    ...config,
    onNotice(notice) {
      const { kind, ...fields } = notice;
      if (kind === 'retry') logger.debug(notice, 'An attempt failed and will be made again');
      else if (kind === 'throttled') logger.warn({ code: kind, ...fields }, 'Mixpanel asked for a long pause');
      else logger.error({ code: kind, ...fields }, 'Mixpanel accounts for an event neither as imported nor as failed');
    },
  });
}
