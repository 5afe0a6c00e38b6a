/** Lines of Snowplow's enriched events. */

import { columnsOf } from '../../functions/core/formats/snowplow/columns.ts';

/** A line of 131 fields with some of them. */
export function lineOf(fields: Readonly<Record<string, string>>): string {
  return columnsOf(131)!
    .map(({ name }) => fields[name] ?? '')
    .join('\t');
}

/** Lines of different events. */
export function snowplowLines(count: number, user = 'ada'): string[] {
  const second = new Date().toISOString().slice(0, 19).replace('T', ' ');
  return Array.from({ length: count }, (_, index) =>
    lineOf({
      app_id: 'shop',
      event: 'page_view',
      event_name: 'page_view',
      event_id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      user_id: user,
      collector_tstamp: second,
      page_title: `page ${index}`,
      contexts: `{"data":[{"schema":"iglu:com.acme/cart/jsonschema/1-0-0","data":{"items":${index}}}]}`,
    }),
  );
}
