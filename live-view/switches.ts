/** What can be made to go wrong at the local Mixpanel, by switches that add up. */

import type { FaultHook, InjectedFault } from '../local-cloud/mixpanel/server.ts';
import type { SwitchName } from './page/frames.ts';

/** How long an answer takes that is slow. */
const SLOW_MS = 2_000;
/** The most events of a request while the limit is smaller. */
const SMALL_LIMIT_EVENTS = 200;

/** The switches, all of them off. */
export function createSwitches(): Record<SwitchName, boolean> {
  return { credentials: false, unavailable: false, rateLimit: false, slow: false, small: false };
}

/** @returns the hook for the local Mixpanel; it looks at the switches for each request */
export function faultOf(switches: Readonly<Record<SwitchName, boolean>>): FaultHook {
  return ({ events }) => {
    const refusal = refuse(events);
    if (!switches.slow) return refusal;
    return { delayMs: SLOW_MS, ...(refusal === undefined ? {} : { next: refusal }) };
  };

  function refuse(events: number): InjectedFault | undefined {
    if (switches.credentials) return { status: 401 };
    if (switches.unavailable) return { status: 503 };
    if (switches.rateLimit) return { status: 429 };
    if (switches.small && events > SMALL_LIMIT_EVENTS) return { status: 413 };
    return undefined;
  }
}
