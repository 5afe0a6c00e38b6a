/** The objects and messages that came last, for a mapping to be tried on. */

import type { Message } from '../local-cloud/pubsub/subscription.ts';
import type { ObjectResource } from '../local-cloud/storage/server.ts';

/** Of each kind: a burst of one leaves some of the other. */
const MAX_KEPT = 3;

/** One that came. */
export type Arrival = { at: number } & ({ object: ObjectResource } | { message: Message });

/** The last ones of each kind. */
export class Recent {
  #count = 0;
  #objects: Arrival[] = [];
  #messages: Arrival[] = [];

  addObject(object: ObjectResource): void {
    this.#objects = [...this.#objects, { at: this.#count++, object }].slice(-MAX_KEPT);
  }

  /** @param messages that were published together, in order */
  addMessages(messages: readonly Message[]): void {
    const added = messages.map((message) => ({ at: this.#count++, message }));
    this.#messages = [...this.#messages, ...added].slice(-MAX_KEPT);
  }

  /** All that are kept, the newest first. */
  all(): Arrival[] {
    return [...this.#objects, ...this.#messages].sort((a, b) => b.at - a.at);
  }
}
