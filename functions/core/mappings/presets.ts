/** The presets by name. */

import type { Preset } from './preset.ts';
import { snowplow } from './snowplow.ts';

/** What `from` may name. */
export const PRESETS: Readonly<Record<string, Preset>> = { snowplow };
