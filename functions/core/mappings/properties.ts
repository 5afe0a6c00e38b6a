/**
 * Makes the objects that hold an event's properties. V8 turns an object to a hash table when it gets more than a dozen
 * properties whose names are not in the code, and everything with it takes three times as long from then on, its JSON too. It
 * does not while the object has room: as much as the first objects of the same constructor used, and once more.
 */

import type { Fields } from './path.ts';

/** Objects by which V8 measures the room of all others. */
const MEASURED = 16;

/** @param isFull whether the room is used, for V8 to measure */
function Properties(this: Fields, isFull: boolean): void {
  if (!isFull) return;
  this.p0 = this.p1 = this.p2 = this.p3 = this.p4 = this.p5 = this.p6 = this.p7 = null;
  this.p8 = this.p9 = this.p10 = this.p11 = this.p12 = this.p13 = this.p14 = this.p15 = null;
  this.p16 = this.p17 = this.p18 = this.p19 = this.p20 = this.p21 = this.p22 = this.p23 = null;
  this.p24 = this.p25 = this.p26 = this.p27 = this.p28 = this.p29 = this.p30 = this.p31 = null;
}
// They are as any other objects are.
Properties.prototype = Object.prototype;

const Constructor = Properties as unknown as new (isFull: boolean) => Fields;
for (let made = 0; made < MEASURED; made++) new Constructor(true);

/** An empty object with room for about sixty properties. */
export function newProperties(): Fields {
  return new Constructor(false);
}
