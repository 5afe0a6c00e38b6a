/** Reads the primitives of Avro's binary encoding (https://avro.apache.org/docs/1.12.0/specification/#binary-encoding). */

/** The data are not what the schema says. */
export class AvroError extends Error {
  override readonly name = 'AvroError';
}

/** The data end in the middle of a value. */
export class ShortError extends AvroError {
  constructor() {
    super('the data end in the middle of a value');
  }
}

/** A place in bytes, from which values are read one after the other. */
export class Cursor {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;
  /** Whether decimals keep zeros at the end of their fraction. */
  isExact: boolean;
  /** Records and collections that are open. */
  depth = 0;
  /** Items without bytes that were read: nothing else bounds how many there are. */
  empty = 0;

  constructor(bytes: Buffer, at = 0, end = bytes.length, isExact = false) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.isExact = isExact;
  }

  /** Moves on by `length` bytes; returns where they begin. */
  take(length: number): number {
    const from = this.at;
    if (!(length >= 0 && length <= this.end - from)) throw new ShortError();
    this.at = from + length;
    return from;
  }

  byte(): number {
    if (this.at >= this.end) throw new ShortError();
    return this.bytes[this.at++]!;
  }

  /** An int or long; a bigint if it is not a safe integer. */
  long(): number | bigint {
    const { bytes, end } = this;
    let value = 0;
    let factor = 1;
    for (let at = this.at; at < end; at++) {
      const byte = bytes[at]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.at = at + 1;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      factor *= 128;
      // 7 groups are 49 bits, which a double carries.
      if (factor === 2 ** 49) return this.#longLong();
    }
    throw new ShortError();
  }

  #longLong(): number | bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (value >= 1n << 64n) break;
      const long = value & 1n ? -((value + 1n) / 2n) : value / 2n;
      const number = Number(long);
      return Number.isSafeInteger(number) ? number : long;
    }
    throw new AvroError('an integer has more than 64 bits');
  }

  /** A count, a length or an index. */
  size(): number {
    const size = this.long();
    if (typeof size !== 'number') throw new AvroError('a length has more than 53 bits');
    return size;
  }

  text(): string {
    const length = this.size();
    const from = this.take(length);
    return this.bytes.toString('utf8', from, from + length);
  }

  /** Bytes of the buffer, not a copy. */
  slice(length: number): Buffer {
    const from = this.take(length);
    return this.bytes.subarray(from, from + length);
  }
}
