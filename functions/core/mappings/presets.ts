/** The presets by name. */

import type { Preset } from './preset.ts';

/** What `from` may name. */
export const PRESETS: Readonly<Record<string, Preset>> = {};
