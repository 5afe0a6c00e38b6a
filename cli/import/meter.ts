/** Measures how far the command has come and how fast it goes. */

/** How far it has come, at one moment. */
export interface Progress {
  /** The file that is being worked on. */
  file: string;
  /** `[2/5]`: which of how many; undefined where there is only one. */
  place: string | undefined;
  /** Stored bytes of all files that are done with. */
  bytes: number;
  /** Stored bytes of all files; undefined where that is not known. */
  totalBytes: number | undefined;
  events: number;
  /** Undefined as long as there is nothing to tell them from. */
  eventsPerSecond: number | undefined;
  bytesPerSecond: number | undefined;
  msLeft: number | undefined;
  /** What keeps requests waiting, if any do: `Mixpanel answered 429: waiting 4 s`. */
  waiting: string | undefined;
}

/** What is measured of one file. */
export interface FileMeter {
  /** So many stored bytes were read. */
  read(bytes: number): void;
  /** So many decoded bytes stand in blocks that were read. */
  opened(bytes: number): void;
  /** So many decoded bytes are done with. */
  settled(bytes: number): void;
  /** The file is over, be it done or not. */
  end(): void;
}

/** Speed is that of the last so many milliseconds. */
const WINDOW_MS = 10_000;
/** Less than this tells no speed. */
const MIN_WINDOW_MS = 500;

/** The measurements of one run of the command. */
export class Meter {
  readonly #now: () => number;
  readonly #sizes: readonly (number | undefined)[];
  #index = -1;
  #file = '';
  /** Bytes and events of the files before this one. */
  #bytesBefore = 0;
  #eventsBefore = 0;
  /** Of this one. */
  #bytesOfFile = () => 0;
  #eventsOfFile = () => 0;
  #samples: { at: number; bytes: number; events: number }[] = [];
  #waits: { what: string; until: number }[] = [];

  /**
   * @param sizes of the files, stored bytes; undefined where that is not known
   * @param now   milliseconds of a monotonic clock
   */
  constructor(sizes: readonly (number | undefined)[], now: () => number) {
    this.#sizes = sizes;
    this.#now = now;
  }

  /**
   * The next file begins.
   *
   * @param events how many of its events have come through so far
   */
  begin(file: string, events: () => number): FileMeter {
    this.#index++;
    this.#file = file;
    let stored = 0;
    let opened = 0;
    let settled = 0;
    this.#eventsOfFile = events;
    // What is read runs ahead of what is settled; of compressed bytes as many are settled as their content is in part.
    this.#bytesOfFile = () => (opened === 0 ? 0 : (stored * settled) / opened);
    return {
      read: (bytes) => {
        stored += bytes;
      },
      opened: (bytes) => {
        opened += bytes;
      },
      settled: (bytes) => {
        settled += bytes;
      },
      end: () => {
        this.#bytesBefore += this.#sizes[this.#index] ?? stored;
        this.#eventsBefore += events();
        this.#bytesOfFile = this.#eventsOfFile = () => 0;
      },
    };
  }

  /** A request waits for so long before it is tried again. */
  wait(what: string, delayMs: number): void {
    this.#waits = this.#waits.filter(({ until }) => until > this.#now());
    this.#waits.push({ what, until: this.#now() + delayMs });
  }

  /** How far it has come now; to be asked regularly, as the speed is that between two askings. */
  progress(): Progress {
    const at = this.#now();
    const bytes = this.#bytesBefore + this.#bytesOfFile();
    const events = this.#eventsBefore + this.#eventsOfFile();
    while (this.#samples.length > 1 && this.#samples[1]!.at <= at - WINDOW_MS) this.#samples.shift();
    const from = this.#samples[0] ?? { at, bytes, events };
    this.#samples.push({ at, bytes, events });
    const totalBytes = this.#sizes.reduce(
      (sum, size) => (sum === undefined || size === undefined ? undefined : sum + size),
      0,
    );
    const hasSpeed = at - from.at >= MIN_WINDOW_MS;
    const perSecond = (count: number) => (hasSpeed ? (1_000 * count) / (at - from.at) : undefined);
    const bytesPerSecond = perSecond(bytes - from.bytes);
    const left = totalBytes === undefined ? undefined : totalBytes - bytes;
    return {
      file: this.#file,
      place: this.#sizes.length > 1 ? `[${this.#index + 1}/${this.#sizes.length}]` : undefined,
      bytes,
      totalBytes,
      events,
      eventsPerSecond: perSecond(events - from.events),
      bytesPerSecond,
      msLeft: !left || !bytesPerSecond ? undefined : (1_000 * left) / bytesPerSecond,
      waiting: this.#waiting(at),
    };
  }

  #waiting(now: number): string | undefined {
    const waits = this.#waits.filter(({ until }) => until > now).sort((a, b) => a.until - b.until);
    const next = waits[0];
    if (next === undefined) return undefined;
    const others = waits.length > 1 ? ` (${waits.length} requests)` : '';
    return `${next.what}: waiting ${Math.ceil((next.until - now) / 1_000)} s${others}`;
  }
}
