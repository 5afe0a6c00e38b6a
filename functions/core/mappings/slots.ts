/**
 * Slots: one for each property that events have. A slot knows in which event it was filled last, so that of two sources of one
 * name the first wins without a look into the properties for a name that is not there, which takes longest.
 */

import type { Fields } from './path.ts';
import type { NameOf } from './selection.ts';

/** Slots that are kept; nothing keeps a record from making up names of its own. */
const MAX_SLOTS = 4_096;

/** A property of events. */
export interface Slot {
  /** As it is sent. */
  readonly name: string;
  /** Number of the event in which it was filled last. */
  event: number;
}

/** Puts a value into a slot that is still free. */
export type PutSlot = (slot: Slot, value: unknown) => void;

/** Fills the properties of one event after the other. */
export class Slots {
  readonly #nameOf: NameOf;
  readonly #omitEmpty: boolean;
  readonly #slots = new Map<string, Slot | null>();
  readonly #slotsByFinal = new Map<string, Slot>();
  #event = 0;
  #properties: Fields = {};

  /**
   * @param nameOf names under which properties are sent
   * @param omitEmpty whether empty text is left out, as null is
   */
  constructor(nameOf: NameOf, omitEmpty: boolean) {
    this.#nameOf = nameOf;
    this.#omitEmpty = omitEmpty;
  }

  /** Begins with an event that has none of these properties yet. */
  begin(properties: Fields): void {
    this.#properties = properties;
    this.#event++;
  }

  /** The slot of a name; null if the property is left out, undefined if there are too many names. */
  slotOf(name: string): Slot | null | undefined {
    const known = this.#slots.get(name);
    return known === undefined ? this.#newSlot(name) : known;
  }

  /** Fills a slot. */
  readonly putSlot: PutSlot = (slot, value) => {
    if (value === undefined || value === null || (value === '' && this.#omitEmpty) || slot.event === this.#event)
      return;
    slot.event = this.#event;
    this.#properties[slot.name] = value;
  };

  /** Fills the slot of a name. */
  readonly put = (name: string, value: unknown): void => {
    if (value === undefined || value === null || (value === '' && this.#omitEmpty)) return;
    const slot = this.slotOf(name);
    if (slot) {
      if (slot.event === this.#event) return;
      slot.event = this.#event;
      this.#properties[slot.name] = value;
    } else if (slot === undefined) {
      const final = this.#nameOf(name);
      if (final !== undefined) putProperty(this.#properties, final, value);
    }
  };

  #newSlot(name: string): Slot | null | undefined {
    if (this.#slots.size >= MAX_SLOTS) return undefined;
    const final = this.#nameOf(name);
    // A property of this name has to be defined.
    if (final === '__proto__') return undefined;
    const slot = final === undefined ? null : (this.#slotsByFinal.get(final) ?? { name: final, event: 0 });
    this.#slots.set(name, slot);
    if (slot !== null) this.#slotsByFinal.set(slot.name, slot);
    return slot;
  }
}

/** Sets a property that is not there yet, whatever it is called. */
export function putProperty(properties: Fields, name: string, value: unknown): void {
  if (properties[name] !== undefined && Object.hasOwn(properties, name)) return;
  if (name === '__proto__') {
    Object.defineProperty(properties, name, { value, configurable: true, enumerable: true, writable: true });
  } else properties[name] = value;
}
