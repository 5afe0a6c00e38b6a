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

/** Whether it has the shape of an event; what it is called is not looked at. */
export function isEvent(value: unknown): value is MixpanelEvent {
  return isObject(value) && isObject(value.properties);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
