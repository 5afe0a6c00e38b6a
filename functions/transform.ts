/**
 * Your transform: what becomes of each record before it is sent to Mixpanel. Change the last lines.
 *
 *     const transform: Transform = ({ event, properties: { email, ...properties } }) => ({ event, properties });
 *
 * It is handed every record that is a JSON object, parsed, whatever its shape, and a context that says where it was read:
 * the object and its metadata, the message's attributes, or the file. It returns one event, an array of several, or
 * nothing (`undefined`, `null`, `[]`) to leave the record out; directly or as a promise. docs/transform.md has examples.
 *
 * - **Keep it pure**: the result must follow from the record and the context alone, not from the time, randomness or
 *   another service. A record can be delivered more than once and is then transformed again; Mixpanel recognizes the
 *   events only if they are the same.
 * - **`$insert_id`**: an event without one gets one that is made of the record as it arrived. Of several events made of
 *   one record each gets its own. If you copy the record's own id into all of them, Mixpanel takes those with equal
 *   event, time and distinct_id for duplicates.
 * - **`ip`**: an event without the property `ip` is located by the address that sends it, a data center's. `ip: 0` turns
 *   geolocation off; or pass the user's own address.
 * - **Exceptions**: an exception makes a dead letter of that record, with its message; all others continue. The message
 *   is stored, so do not put anything into it that must not be.
 * - **Numbers**: a number arrives as a plain number whenever JavaScript carries it exactly. One whose digits would be lost
 *   arrives as an object made by `JSON.rawJSON`; leave it as it is, and its digits are kept.
 * - **Speed**: with the `passThrough` below records travel byte for byte and are never parsed; any other transform
 *   costs parsing and serializing every one.
 *
 * A change takes effect for what is read after it is deployed. What an earlier invocation settled is not sent again. What
 * is delivered again, or continued, passes the new transform: an event whose name, time, distinct_id or `$insert_id` it
 * changes is then a new one to Mixpanel.
 */

import { passThrough, type Transform } from './core/event.ts';

const transform: Transform = passThrough;

export default transform;
