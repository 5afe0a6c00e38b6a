/** What is remembered of a container that is not JSON, so that no byte is scanned often. */

/** A container that failed in this window. Those that were open inside it fail too, without being scanned again. */
export interface FailedContainer {
  kind: 'incomplete' | 'invalid' | 'too-deep' | 'too-large';
  /** Index at which it failed. */
  at: number;
  /** Index of the string in which it failed; else {@link at}. */
  tokenAt: number;
  /** Where the containers that were open begin, the outermost first. */
  openedAt: Uint32Array;
  /** Lines that begin with a bracket before this index are read again. */
  rereadTo: number;
  /** Values that begin at or after this index are scanned anew. */
  knownTo: number;
  /** Whether both were looked up. */
  isLimited: boolean;
}

/** The container after a block was taken from the window that ends at `by`. */
export function movedBack(
  { at, tokenAt, openedAt, rereadTo, knownTo, ...rest }: FailedContainer,
  by: number,
): FailedContainer {
  const moved = openedAt.filter((opened) => opened >= by).map((opened) => opened - by);
  return {
    ...rest,
    at: at - by,
    tokenAt: tokenAt - by,
    openedAt: moved,
    rereadTo: rereadTo - by,
    knownTo: knownTo - by,
  };
}
