/** Walks Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), to bound what a damaged file makes a reader do. */

const [STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
] as const;
const MAX_DEPTH = 50;

/** Integers and booleans of a struct by their ids, and structs in it as such. */
export interface Struct {
  booleans: Map<number, boolean>;
  integers: Map<number, number>;
  structs: Map<number, Struct>;
}

/** Reads a struct at a place, and knows where it ends. */
export class ThriftWalker {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** @throws RangeError if the bytes end before the struct does, or it says to hold more than there are bytes */
  struct(depth = 0): Struct {
    if (depth > MAX_DEPTH) throw new RangeError('a struct is nested too deeply');
    const found: Struct = { booleans: new Map(), integers: new Map(), structs: new Map() };
    for (let id = 0; ; ) {
      const head = this.#byte();
      const type = head & 0x0f;
      if (type === STOP) return found;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      if (type === STRUCT) found.structs.set(id, this.struct(depth + 1));
      else if (type === I16 || type === I32 || type === I64) found.integers.set(id, this.#zigzag());
      else if (type === TRUE || type === FALSE) found.booleans.set(id, type === TRUE);
      else this.#skip(type, depth + 1);
    }
  }

  #skip(type: number, depth: number): void {
    if (type === TRUE || type === FALSE || type === BYTE) this.#byte();
    else if (type === I16 || type === I32 || type === I64) this.#zigzag();
    else if (type === DOUBLE) this.#take(8);
    else if (type === BINARY) this.#take(this.#varint());
    else if (type === STRUCT) this.struct(depth);
    else if (type === LIST || type === SET) {
      const head = this.#byte();
      const size = head >> 4 === 15 ? this.#varint() : head >> 4;
      if (size > this.#bytes.length - this.at) throw new RangeError('a list has more elements than there are bytes');
      for (let index = 0; index < size; index++) this.#skip(head & 0x0f, depth + 1);
    } else if (type === MAP) throw new RangeError('there is a map where none belongs');
    else throw new RangeError('there is a type that is none');
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new RangeError('an integer has more than 64 bits');
  }

  #byte(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #take(length: number): number {
    const from = this.at;
    if (!(length <= this.#bytes.length - from)) throw new RangeError('the data end in the middle of a value');
    this.at = from + length;
    return from;
  }
}
