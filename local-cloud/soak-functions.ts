/** The functions as deployed, except that a drain that crashed is missed, and looked after, in seconds: what the soak serves. */

import { http } from '@google-cloud/functions-framework';
import { readDrainSubscriptionConfig, readTarget } from '../functions/config.ts';
import { createMixpanelClient } from '../functions/core/mixpanel/client.ts';
import { createSender } from '../functions/core/mixpanel/sender.ts';
import { leaveDomain } from '../functions/runtime/domain.ts';
import { createLogger } from '../functions/runtime/log.ts';
import { handleShutdown } from '../functions/runtime/shutdown.ts';

/** For the soak's ack deadline of 10 s. */
const TIMES = { refreshMs: 1_000, staleMs: 5_000, carefulMs: 15_000, timeoutMs: 3_000 };

if (readTarget(process.env, process.argv) === 'importObject') await import('../functions/index.ts');
else await registerDrain();

async function registerDrain(): Promise<void> {
  handleShutdown();
  await import('../functions/runtime/heap.ts');
  const config = readDrainSubscriptionConfig(process.env);
  const { createDrainSubscription } = await import('../functions/drain-subscription.ts');
  const { createSubscriber } = await import('../functions/pubsub/client.ts');
  const subscriber = await createSubscriber(config.eventSubscription);
  const sender = createSender(createMixpanelClient(config.mixpanel), { ...config, onNotice() {} });
  const drainSubscription = createDrainSubscription(config, sender, subscriber, TIMES);
  http('drainSubscription', async (_request, response) => {
    leaveDomain();
    response.json(await drainSubscription(createLogger()));
  });
}
