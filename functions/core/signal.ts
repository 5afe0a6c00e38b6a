/** A signal that something has changed. */

/** Wakes everyone who waits. Whoever wakes looks for itself whether that is what it waited for. */
export class Signal {
  #change = Promise.withResolvers<void>();

  /** Resolves at the next {@link notify}. */
  wait(): Promise<void> {
    return this.#change.promise;
  }

  notify(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}
