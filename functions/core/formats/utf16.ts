/** Decodes UTF-16 that begins with a byte order mark, as Excel, SQL Server and PowerShell export it (https://www.rfc-editor.org/rfc/rfc2781). */

/** The byte order, named as checkpoints name it among the layers of compression. */
export type Utf16 = 'utf-16le' | 'utf-16be';

const MARK = '\ufeff';
const EMPTY = Buffer.alloc(0);
/** What half a code unit becomes: it is not UTF-8, so the record is rejected. */
const HALF = Buffer.from([0xff]);

/** The encoding of content that begins with `head`, which has 4 bytes or more if the content has; undefined if it is not UTF-16. */
export function utf16Of(head: Buffer): Utf16 | undefined {
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  if (head[0] !== 0xff || head[1] !== 0xfe) return undefined;
  // UTF-32 begins so too.
  return head.length >= 4 && head.readUInt16LE(2) === 0 ? undefined : 'utf-16le';
}

/** Decodes content to UTF-8, piece by piece, without the byte order mark. Lone surrogates stay invalid. */
export class Utf16Decoder {
  readonly #encoding: Utf16;
  /** Bytes of a character that is not complete. */
  #rest: Buffer = EMPTY;
  #isBegun = false;

  constructor(encoding: Utf16) {
    this.#encoding = encoding;
  }

  /** Decodes the next bytes, up to the last character that is complete. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = endOfCharacters(bytes, this.#encoding);
    // The next chunk may be read to where this one is.
    this.#rest = Buffer.from(bytes.subarray(end));
    if (end === 0) return EMPTY;
    const text = textOf(bytes.subarray(0, end), this.#encoding);
    const hasMark = !this.#isBegun && text.startsWith(MARK);
    this.#isBegun = true;
    return encode(hasMark ? text.slice(1) : text);
  }

  /** Ends the content; returns what remains of it. */
  end(): Buffer {
    const rest = this.#rest;
    const surrogate = rest.length < 2 ? EMPTY : encode(textOf(rest.subarray(0, 2), this.#encoding));
    return Buffer.concat([surrogate, rest.length % 2 === 0 ? EMPTY : HALF]);
  }
}

/** Index after the last character that is complete. */
function endOfCharacters(bytes: Buffer, encoding: Utf16): number {
  const end = bytes.length - (bytes.length % 2);
  if (end === 0) return 0;
  const upper = bytes[encoding === 'utf-16le' ? end - 1 : end - 2]!;
  return (upper & 0xfc) === 0xd8 ? end - 2 : end;
}

function textOf(bytes: Buffer, encoding: Utf16): string {
  return (encoding === 'utf-16le' ? bytes : Buffer.from(bytes).swap16()).toString('utf16le');
}

/** As UTF-8. A lone surrogate is encoded as if it were a character, which UTF-8 forbids. */
function encode(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const parts = text.split(/(\p{Surrogate})/u);
  return Buffer.concat(parts.map((part) => (part.isWellFormed() ? Buffer.from(part) : encodeSurrogate(part))));
}

function encodeSurrogate(surrogate: string): Buffer {
  const code = surrogate.charCodeAt(0);
  return Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]);
}
