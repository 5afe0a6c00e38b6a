/** Errors of the local Cloud Storage, in the form in which Google's JSON API answers them. */

/** A request that is answered with an error status. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  /** The HTTP status. */
  readonly status: number;
  /** Google's word for the kind of error, for example `notFound`. */
  readonly reason: string;
  /** Headers of the answer beside its content type. */
  readonly headers: Record<string, string>;

  /**
   * @param status - The HTTP status.
   * @param reason - Google's word for the kind of error.
   * @param message - What the caller is told.
   * @param headers - Headers of the answer beside its content type.
   */
  constructor(status: number, reason: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.headers = headers;
  }
}

/**
 * The body of an error, see https://cloud.google.com/storage/docs/json_api/v1/status-codes.
 *
 * @param error - What went wrong.
 * @returns The JSON that Google would answer.
 */
export function errorBody(error: StorageError) {
  const { status, message, reason } = error;
  return { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } };
}
