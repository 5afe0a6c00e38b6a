/** The presets by name. */

import { amplitude } from './amplitude.ts';
import { ga4 } from './ga4.ts';
import { mixpanelExport } from './mixpanel-export.ts';
import { posthog } from './posthog.ts';
import type { Preset } from './preset.ts';
import { rudderstack } from './rudderstack.ts';
import { segment } from './segment.ts';
import { snowplow } from './snowplow.ts';

/** What `from` may name. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  snowplow,
  ga4,
  posthog,
  'mixpanel-export': mixpanelExport,
  segment,
  rudderstack,
  amplitude,
};
