/** importObject: imports the object generation that a notification names, or continues its import. */

import type { ImportObjectConfig } from './config.ts';
import type { RecordContext } from './core/event.ts';
import { createMappings } from './core/mappings/mappings.ts';
import type { Sender } from './core/mixpanel/sender.ts';
import { startRun } from './core/run.ts';
import { importGeneration } from './import-generation.ts';
import { type CloudEvent, notificationOf, readNotification } from './notification.ts';
import { createObjectFilter } from './object-filter.ts';
import { createPublisher } from './pubsub/publisher.ts';
import { type Logger, logUnmatched, withTrace } from './runtime/log.ts';
import { stopOnShutdown } from './runtime/shutdown.ts';
import { createReadingStorage, createStorage } from './storage/client.ts';
import transform from './transform.ts';

/** Handles one CloudEvent. If it throws, the delivery is refused and tried again later. */
export type ImportObject = (cloudEvent: CloudEvent) => Promise<void>;

/** Makes the function, once for the process. */
export function createImportObject(config: ImportObjectConfig, sender: Sender, processLogger: Logger): ImportObject {
  const reading = createReadingStorage(config.storageEndpoint);
  const writing = createStorage(config.storageEndpoint);
  const publish = createPublisher({
    topic: config.objectTopic,
    auth: writing.authClient,
    emulatorHost: config.pubsubEmulatorHost,
  });
  const filter = createObjectFilter(config);
  const onUnmatched = (context: RecordContext) => logUnmatched(processLogger, context);
  const mappingOf = createMappings({ ...config, transform, onUnmatched });
  const projectId = config.objectTopic.split('/')[1]!;

  return async (cloudEvent) => {
    const logger = withTrace(processLogger, projectId, cloudEvent.traceparent);
    const notification = readNotification(cloudEvent);
    if ('problem' in notification) {
      logger.warn({ id: notification.id }, `A CloudEvent is not one of ours and is left out: ${notification.problem}`);
      return;
    }
    const { object } = notification;
    if (object.bucket === config.stateBucket || object.bucket === config.deadLetterBucket) {
      const fields = { ...object, code: 'state_bucket_watched' };
      logger.error(
        fields,
        'The bucket of checkpoints or dead letters notifies of its objects, which are not imported: remove that notification',
      );
      return;
    }
    const run = startRun(config.deadlineMs);
    const release = stopOnShutdown(run);
    try {
      await importGeneration(object, {
        config,
        sender,
        mappingOf,
        logger,
        run,
        reading,
        writing,
        exclusion: filter(object.object),
        publishContinuation: () => publish(notificationOf(object)),
      });
    } finally {
      release();
      run.end();
    }
  };
}
