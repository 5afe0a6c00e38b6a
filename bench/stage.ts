/** The servers that a measurement needs, started once. */

import { startServer } from './processes.ts';
import type { GoogleAddresses, GoogleMethods } from './servers/google.ts';
import type { Arrivals, SinkOptions } from './servers/sink.ts';

/** The servers, and what can be asked of them. */
export interface Stage {
  /** Base URL of the server that stands for Mixpanel. */
  readonly mixpanelUrl: string;
  readonly google: GoogleAddresses;
  /** Forgets what arrived. */
  reset(options: SinkOptions): Promise<void>;
  /** What arrived since. */
  arrivals(): Promise<Arrivals>;
  /** Asks something of the server that stands for Google Cloud. */
  ask<Method extends keyof GoogleMethods>(
    method: Method,
    ...args: Parameters<GoogleMethods[Method]>
  ): Promise<Awaited<ReturnType<GoogleMethods[Method]>>>;
  close(): Promise<void>;
}

/** Starts them. */
export async function startStage(): Promise<Stage> {
  const [sink, google] = await Promise.all([
    startServer<{ url: string }>('sink.ts'),
    startServer<GoogleAddresses>('google.ts'),
  ]);
  return {
    mixpanelUrl: sink.hello.url,
    google: google.hello,
    reset: (options) => sink.call('reset', options),
    arrivals: () => sink.call('arrivals'),
    ask: (method, argument?: unknown) => google.call(method, argument),
    async close() {
      await Promise.all([sink.stop(), google.stop()]);
    },
  };
}
