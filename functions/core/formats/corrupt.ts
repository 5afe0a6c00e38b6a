/** What decoders throw about data that cannot be decoded any further. */

/** The data are not valid in their layer of compression from some byte on, although they began as such. */
export abstract class CorruptContentError extends Error {
  /** As it is named in `compression`. */
  abstract readonly layer: string;
}
