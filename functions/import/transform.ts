/** What a transform is, and how its results become events. */

/** A parsed record, or what a transform makes of one: https://developer.mixpanel.com/reference/import-events. */
export interface MixpanelEvent {
  event: string;
  properties: Record<string, unknown>;
  [key: string]: unknown;
}

/** What a transform may give back: one event, several, or none. */
export type TransformResult = MixpanelEvent | readonly MixpanelEvent[] | null | undefined;

/** A pure function of a record; see `functions/transform.ts`. */
export type Transform = (record: MixpanelEvent) => TransformResult | Promise<TransformResult>;

/** Leaves every record as it is: they then travel byte for byte, without being parsed. */
export const passThrough: Transform = (record) => record;

/** With the source text of a primitive, which TypeScript's library does not declare yet (https://github.com/tc39/proposal-json-parse-with-source). */
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** Parses a record so that numbers which a double cannot carry keep all their digits when it is serialised again. */
export function parseKeepingDigits(text: string): unknown {
  return parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    const digits = source
      .replace(/[eE].*$/, '')
      .replace(/[-.]/g, '')
      .replace(/^0+/, '');
    const isKept = digits.length <= 15 && Number.isFinite(value) && (value !== 0 || digits === '');
    return isKept ? value : rawJSON(source);
  });
}

/**
 * The event as it is sent, with the id that `makeId` gives where it has none.
 *
 * @throws TypeError when a transform made something of which no event can be written
 */
export function serialize(event: MixpanelEvent, makeId: () => string): string {
  // What a toJSON makes of an event need not be one.
  const text: string | undefined = isEvent(event) ? JSON.stringify(withId(event, makeId)) : undefined;
  if (!text?.startsWith('{')) {
    throw new TypeError('the transform returned something other than events with an object as `properties`');
  }
  return text;
}

function withId(event: MixpanelEvent, makeId: () => string): MixpanelEvent {
  const id = event.properties.$insert_id;
  if (id !== undefined && id !== null && id !== '') return event;
  const { $insert_id: _, ...properties } = event.properties;
  return { ...event, properties: { $insert_id: makeId(), ...properties } };
}

function isEvent(event: MixpanelEvent): boolean {
  return isObject(event) && isObject(event.properties);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
