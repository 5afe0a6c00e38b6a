/** The presets by name. */

import { amplitude } from './amplitude.ts';
import type { Preset } from './preset.ts';
import { rudderstack } from './rudderstack.ts';
import { segment } from './segment.ts';
import { snowplow } from './snowplow.ts';

/** What `from` may name. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  snowplow,
  segment,
  rudderstack,
  amplitude,
};
