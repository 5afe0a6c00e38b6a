/** Keeps the newest of what comes, up to a number and a weight, under numbers that go on rising. Runs in Node and in the browser. */

/** What a ring holds at most. */
export interface RingLimits<Item> {
  maxItems: number;
  /** In whatever `weightOf` gives. */
  maxWeight: number;
  weightOf(item: Item): number;
}

/** The newest items, each under its number. */
export class Ring<Item> {
  /** The number of the oldest that is here. */
  first = 0;
  /** The number that the next one gets. */
  next = 0;
  readonly #limits: RingLimits<Item>;
  #items: (Item | undefined)[] = [];
  #weight = 0;

  constructor(limits: RingLimits<Item>) {
    this.#limits = limits;
  }

  /** How many are here. */
  get size(): number {
    return this.next - this.first;
  }

  /** The item of that number; undefined where it is not here any more, or not yet. */
  at(number: number): Item | undefined {
    return number < this.first || number >= this.next ? undefined : this.#items[number % this.#limits.maxItems];
  }

  /** Adds an item; the oldest go where that is too much, but not this one. */
  push(item: Item): void {
    const { maxItems, maxWeight, weightOf } = this.#limits;
    if (this.size === maxItems) this.#drop();
    this.#items[this.next % maxItems] = item;
    this.next++;
    this.#weight += weightOf(item);
    while (this.#weight > maxWeight && this.size > 1) this.#drop();
  }

  /** Forgets everything; the next item gets that number. */
  reset(next: number): void {
    this.#items = [];
    this.#weight = 0;
    this.first = next;
    this.next = next;
  }

  #drop(): void {
    const index = this.first % this.#limits.maxItems;
    this.#weight -= this.#limits.weightOf(this.#items[index] as Item);
    this.#items[index] = undefined;
    this.first++;
  }
}
