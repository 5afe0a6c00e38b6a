/** The two errors that this code throws on purpose. Bad data is a rejection, never an error. */

/** What went wrong, in a word that alerts match. */
export type ErrorCode =
  | 'accounts_unbalanced'
  | 'checkpoint_unreadable'
  | 'checksum_mismatch'
  | 'credentials_refused'
  | 'lease_lost'
  | 'memory_exceeded'
  | 'request_refused'
  | 'stopped';

/** The environment is not usable. Carries all problems at once, and never the value of a variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  /** @param problems one sentence for each invalid variable: its name and what is allowed */
  constructor(problems: readonly string[]) {
    super(`The configuration is not usable: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/** The import cannot continue: the data stay where they are, for later. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
  readonly code: ErrorCode;
  /** HTTP status of the answer that ended the import, where there was one. */
  readonly status: number | undefined;
  /** How many attempts were made before giving up. */
  readonly attempts: number | undefined;

  /**
   * @param code    what went wrong, for alerts
   * @param message "what failed: where, after how many attempts; what to do"
   */
  constructor(code: ErrorCode, message: string, details: { status?: number; attempts?: number; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.attempts = details.attempts;
  }
}
