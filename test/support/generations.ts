/** Imports object generations within the test's own process, from a local Cloud Storage into a local Mixpanel. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readImportObjectConfig } from '../../functions/config.ts';
import { createMappings } from '../../functions/core/mappings/mappings.ts';
import { createMixpanelClient } from '../../functions/core/mixpanel/client.ts';
import { createSender } from '../../functions/core/mixpanel/sender.ts';
import { type Run, startRun } from '../../functions/core/run.ts';
import { importGeneration } from '../../functions/import-generation.ts';
import { createLogger, LoggedError } from '../../functions/runtime/log.ts';
import { type Checkpoint, parseCheckpoint } from '../../functions/storage/checkpoint.ts';
import { createReadingStorage, createStorage } from '../../functions/storage/client.ts';
import { checkpointName, type ObjectGeneration } from '../../functions/storage/names.ts';
import transform from '../../functions/transform.ts';
import { type MixpanelOptions, startMixpanel } from '../../local-cloud/mixpanel/server.ts';
import { startStorage } from '../../local-cloud/storage/server.ts';
import type { LogLine } from './serving.ts';

/**
 * @param env     variables of the function besides the addresses
 * @param options how the local Mixpanel behaves
 */
export async function startGenerations(env: Record<string, string> = {}, options: MixpanelOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'generations-'));
  const storage = await startStorage({ folder });
  for (const bucket of ['import', 'state']) storage.createBucket(bucket);
  const mixpanel = await startMixpanel(options);
  const config = readImportObjectConfig({
    MIXPANEL_PROJECT_TOKEN: 'token',
    MIXPANEL_API_URL: mixpanel.url,
    STORAGE_API_ENDPOINT: storage.url,
    STATE_BUCKET: 'state',
    OBJECT_TOPIC: 'projects/p/topics/t',
    ...env,
  });
  const checkpointFile = (object: ObjectGeneration) =>
    createStorage(storage.url).bucket('state').file(checkpointName(object));

  const logged: LogLine[] = [];
  const logger = createLogger({ write: (line) => logged.push(JSON.parse(line)) });
  return {
    mixpanel,
    storage,
    /** All that was logged, as the functions framework prints it. */
    logged,

    async upload(object: string, content: Buffer): Promise<ObjectGeneration> {
      const file = createStorage(storage.url).bucket('import').file(object);
      await file.save(content, { resumable: false });
      return { bucket: 'import', object, generation: String(file.metadata.generation) };
    },

    async checkpoint(object: ObjectGeneration): Promise<Checkpoint> {
      const [content] = await checkpointFile(object).download();
      const parsed = parseCheckpoint(content.toString());
      assert.ok(typeof parsed === 'object', String(parsed));
      return parsed;
    },

    saveCheckpoint: (object: ObjectGeneration, text: string) => checkpointFile(object).save(text, { resumable: false }),

    /** One invocation; whether it finished the object. */
    async invoke(
      object: ObjectGeneration,
      run: Run = startRun(),
      publishContinuation: () => Promise<void> = async () => {},
    ): Promise<boolean> {
      const client = createMixpanelClient(config.mixpanel);
      try {
        await importGeneration(object, {
          config,
          sender: createSender(client, config),
          mappingOf: createMappings({ ...config, transform }),
          logger,
          run,
          reading: createReadingStorage(storage.url),
          writing: createStorage(storage.url),
          publishContinuation,
        });
      } catch (error) {
        if (!(error instanceof LoggedError)) throw error;
        logged.push(JSON.parse(error.stack!));
      } finally {
        run.end();
        client.close();
      }
      return (await this.checkpoint(object)).state === 'done';
    },

    async close(): Promise<void> {
      await mixpanel.close();
      await storage.close();
      await rm(folder, { recursive: true });
    },
  };
}
