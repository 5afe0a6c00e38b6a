/** The functions as served, but drainSubscription has short times, and a transform that ends the process at a deadly event. */

import { registerHooks } from 'node:module';
import { http } from '@google-cloud/functions-framework';
import { readDrainSubscriptionConfig, readTarget } from '../../functions/config.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { leaveDomain } from '../../functions/runtime/domain.ts';
import { createLogger } from '../../functions/runtime/log.ts';
import { handleShutdown } from '../../functions/runtime/shutdown.ts';

const TRANSFORM = `
export default (record) => {
  if (record.event === 'deadly') process.kill(process.pid, 'SIGKILL');
  return record;
};`;
/** For an ack deadline of 2 s. */
const TIMES = { refreshMs: 200, staleMs: 700, carefulMs: 5_000, timeoutMs: 3_000 };

if (readTarget(process.env, process.argv) === 'importObject') await import('../../functions/index.ts');
else await registerDrain();

async function registerDrain(): Promise<void> {
  handleShutdown();
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier !== './transform.ts') return next(specifier, context);
      return { url: `data:text/javascript,${encodeURIComponent(TRANSFORM)}`, shortCircuit: true };
    },
  });
  const config = readDrainSubscriptionConfig(process.env);
  const { createDrainSubscription } = await import('../../functions/drain-subscription.ts');
  const { createSubscriber } = await import('../../functions/pubsub/client.ts');
  const subscriber = await createSubscriber(config.eventSubscription);
  const sender = createSender(createMixpanelClient(config.mixpanel), { ...config, onNotice() {} });
  const drainSubscription = createDrainSubscription(config, sender, subscriber, TIMES);
  http('drainSubscription', async (_request, response) => {
    leaveDomain();
    response.json(await drainSubscription(createLogger()));
  });
}
