/** The bytes that a parser has not consumed yet. */

const EMPTY = Buffer.alloc(0);
const NEWLINE = 0x0a;
/** Bytes at the end in which the last line break is looked for. */
const MAX_LAST_LINE_BYTES = 65_536;

/** Collects chunks in one buffer, which is used for one block after the other. */
export class ByteWindow {
  /**
   * The bytes, followed by others. A window that holds copies ends with a control character at {@link length}, which
   * makes strings cheaper to scan.
   */
  bytes: Buffer = EMPTY;
  /** Bytes to read now: all that are held, or those up to the last line break. */
  length = 0;
  /** Bytes that are held. */
  held = 0;
  #buffer: Buffer = EMPTY;
  readonly #borrows: boolean;

  /** @param borrows whether all chunks are pieces of one buffer, in order, which nobody overwrites; nothing is copied then */
  constructor(borrows: boolean) {
    this.#borrows = borrows;
  }

  /** Adds a chunk. Copied: chunks held until their block is complete would be promoted to V8's old generation, which is collected rarely. */
  append(chunk: Buffer): void {
    const { bytes, held: length } = this;
    if (this.#borrows) {
      this.bytes = length === 0 ? chunk : Buffer.from(bytes.buffer, bytes.byteOffset, length + chunk.length);
      this.length = this.held = this.bytes.length;
      return;
    }
    const total = length + chunk.length;
    const isInPlace = bytes.buffer === this.#buffer.buffer && bytes.byteOffset === this.#buffer.byteOffset;
    const hasRoom = total < this.#buffer.length;
    if (!hasRoom) this.#buffer = Buffer.allocUnsafeSlow(Math.max(total + 1, 2 * this.#buffer.length));
    if (!hasRoom || !isInPlace) bytes.copy(this.#buffer, 0, 0, length);
    chunk.copy(this.#buffer, length);
    this.#buffer[total] = 0;
    this.bytes = this.#buffer;
    this.length = this.held = total;
  }

  /**
   * Leaves the last line, which is likely to be cut, for later: values that end with their line are then never scanned
   * in part, and V8 need not compile the scanner anew for every token that such a scan can stop in.
   */
  endAtLastLine(): void {
    const newline = this.bytes.subarray(Math.max(0, this.held - MAX_LAST_LINE_BYTES), this.held).lastIndexOf(NEWLINE);
    if (newline !== -1) this.length = newline + Math.max(0, this.held - MAX_LAST_LINE_BYTES);
  }

  /** Reads the last line too. */
  endAtLastByte(): void {
    this.length = this.held;
  }

  /** Drops the first `count` bytes. They stay in the buffer until the next chunk is added. */
  consume(count: number): void {
    this.bytes = this.bytes.subarray(count);
    this.length -= count;
    this.held -= count;
  }
}
