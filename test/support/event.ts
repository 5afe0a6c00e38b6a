/** The events of the tests. */

/** Is in every event and in every credential of the tests, and must not be in anything that is printed or thrown. */
export const MARKER = 'quetzalcoatl';

/** The text of an event that Mixpanel accepts, unless `properties` say otherwise; without an id, it has no `$insert_id`. */
export function eventText(id: string | undefined, properties: object = {}): string {
  const all = { time: 1_767_225_600, distinct_id: 'u', note: MARKER, $insert_id: id, ...properties };
  return JSON.stringify({ event: 'e', properties: all });
}

/** The texts of so many events, with the ids `PREFIX-0`, `PREFIX-1`, … */
export function eventLines(count: number, prefix = 'id', properties: object = {}): string[] {
  return Array.from({ length: count }, (_, index) => eventText(`${prefix}-${index}`, properties));
}

/** Records as lines, each with its end. */
export function ndjson(records: readonly string[]): string {
  return records.map((record) => `${record}\n`).join('');
}
