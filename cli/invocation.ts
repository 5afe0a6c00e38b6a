/** How this process was started: by `npm run`, or as the installed command. Advice names the one that was used. */

import { SUBCOMMANDS } from './options.ts';

/** The name of the installed command. */
export const COMMAND = 'mixpanel-cloud-ingestion';

const SCRIPT = new RegExp(`npm run (${Object.keys(SUBCOMMANDS).join('|')})\\b(?: --(?= |$))?`, 'gm');
let isInstalled = false;

/** From now on advice names the installed command. */
export function nameInstalledCommand(): void {
  isInstalled = true;
}

/** The text, with `npm run NAME --` in it replaced by the installed command where that was used. */
export function asInvoked(text: string): string {
  return isInstalled ? text.replaceAll(SCRIPT, `${COMMAND} $1`) : text;
}
