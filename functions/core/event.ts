/** Events, and the transform that makes them of records. */

/** An event as /import takes it: https://developer.mixpanel.com/reference/import-events. */
export interface MixpanelEvent {
  event: string;
  properties: Record<string, unknown>;
  [key: string]: unknown;
}

/** Where a record was read. It is the same at every delivery, and when a dead letter is replayed. */
export type RecordContext =
  | {
      kind: 'object';
      bucket: string;
      object: string;
      /** Custom metadata of the object. */
      metadata: Readonly<Record<string, string>>;
    }
  | {
      kind: 'message';
      /** `projects/P/subscriptions/S` */
      subscription: string;
      attributes: Readonly<Record<string, string>>;
    }
  | { kind: 'file'; path: string };

/** What a transform may return: one event, several, or none. */
export type TransformResult = MixpanelEvent | readonly MixpanelEvent[] | null | undefined;

/**
 * Makes events of a record, which is any JSON object; see `functions/transform.ts`.
 *
 * @typeParam Input what the records look like; nothing checks that they do
 * @param record  parsed
 * @param context where it was read
 */
export type Transform<Input = MixpanelEvent> = (
  record: Input,
  context: RecordContext,
) => TransformResult | Promise<TransformResult>;

/** Leaves every record as it is: records then travel byte for byte, without being parsed. */
export const passThrough: Transform = (record) => record;

/** What to do about a record that is not an event. */
export const ADVICE = 'not a Mixpanel event. Use a mapping or a transform to make events of such records';

/** A record is not an event, and nothing makes one of it. */
export class NotAnEventError extends Error {
  override readonly name = 'NotAnEventError';
  readonly field: 'event' | 'properties';

  constructor(field: 'event' | 'properties', problem: string) {
    super(`${problem}: ${ADVICE}`);
    this.field = field;
  }
}

/**
 * The record as an event.
 *
 * @throws {@link NotAnEventError} if it is none
 */
export function asEvent(record: unknown): MixpanelEvent {
  if (isEvent(record)) return record;
  const { event, properties } = Object(record) as Partial<MixpanelEvent>;
  if (event === undefined) throw new NotAnEventError('event', 'missing');
  throw new NotAnEventError('properties', properties === undefined ? 'missing' : 'not an object');
}

/**
 * The event as it is sent, with the id that `makeId` returns if it has none.
 *
 * @throws TypeError if `event` is not one, or cannot be serialized
 */
export function serialize(event: unknown, makeId: () => string): string {
  // What a toJSON makes of an event need not be one.
  const text: string | undefined = isEvent(event) ? JSON.stringify(withId(event, makeId)) : undefined;
  if (!text?.startsWith('{')) {
    throw new TypeError(
      'the transform returned something other than events with `event` and an object as `properties`',
    );
  }
  return text;
}

function withId(event: MixpanelEvent, makeId: () => string): MixpanelEvent {
  const { properties } = event;
  const id = properties.$insert_id;
  if (id !== undefined && id !== null && id !== '') return event;
  // Copied once where that is enough: events have many properties.
  if (!Object.hasOwn(properties, '$insert_id')) {
    return { ...event, properties: { $insert_id: makeId(), ...properties } };
  }
  const { $insert_id: _, ...others } = properties;
  return { ...event, properties: { $insert_id: makeId(), ...others } };
}

/** Whether it has the shape of an event; Mixpanel judges the values. */
export function isEvent(value: unknown): value is MixpanelEvent {
  return isObject(value) && value.event !== undefined && isObject(value.properties);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
