/**
 * Your transform: what becomes of each record before it is sent to Mixpanel. Change the last line.
 *
 *     const transform: Transform = ({ event, properties: { email, ...properties } }) => ({ event, properties });
 *
 * It is given a parsed record, `{ event, properties }`, and gives back one event, an array of several, or nothing
 * (`undefined`, `null`, `[]`) to leave the record out; directly or as a promise. docs/transform.md has examples.
 *
 * - **Keep it pure**: its result must follow from the record alone, not from the time, chance or another service. A
 *   record can be delivered more than once and be transformed again each time; only if the same events come of it does
 *   Mixpanel see that they are the same.
 * - **`$insert_id`**: an event without one gets one that is made of the record as it came. Of several events made of
 *   one record each gets its own. If you copy the record's own id into all of them, Mixpanel takes those with equal
 *   event, time and distinct_id for duplicates.
 * - **`ip`**: an event without the property `ip` is located by the address that sends it, a data centre's. Set
 *   `ip: 0` to have it not located, or the user's own address.
 * - **Exceptions**: what it throws makes a dead letter of that record, with the message; all others go on. The message
 *   is stored there, so do not put into it what must not be.
 * - **Long numbers**: one that JavaScript cannot represent (more than 15 digits) comes as an object made by
 *   `JSON.rawJSON`; leave it as it is, and its digits are kept.
 * - **Speed**: with the `passThrough` below records travel byte for byte and are never parsed; any other transform
 *   costs parsing and serialising every one.
 *
 * A change is in effect for what is read after it is deployed. What was read by an earlier invocation is not sent
 * again; what is delivered again, or continued, goes through the new transform: an event whose event name, time,
 * distinct_id or `$insert_id` it changes is then a new one to Mixpanel.
 */

import { passThrough, type Transform } from './core/event.ts';

const transform: Transform = passThrough;

export default transform;
