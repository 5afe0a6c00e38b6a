/** `npm run test:browser`: the view in a real browser, point by point as a person sees it. */

import './events.ts';
import './stations.ts';
import './page.ts';
import './mapping.ts';
