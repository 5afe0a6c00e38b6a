/** Logs in Cloud Logging's form, one JSON object a line (https://cloud.google.com/logging/docs/structured-logging). */

import { type DestinationStream, type Logger, pino } from 'pino';
import type { RecordContext } from '../core/event.ts';

export type { Logger } from 'pino';

const SEVERITIES: Record<string, string> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
};

/** @param destination default: standard output */
export function createLogger(destination?: DestinationStream): Logger {
  return pino(
    {
      base: undefined,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ severity: SEVERITIES[level] ?? 'DEFAULT' }) },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/**
 * A logger whose lines belong to the request that a `traceparent` header names (https://www.w3.org/TR/trace-context/).
 *
 * @param projectId of Google Cloud
 */
export function withTrace(logger: Logger, projectId: string, traceparent: unknown): Logger {
  const trace = typeof traceparent === 'string' ? /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent)?.[1] : undefined;
  if (trace === undefined) return logger;
  return logger.child({ 'logging.googleapis.com/trace': `projects/${projectId}/traces/${trace}` });
}

/**
 * An error for the functions framework to answer 500 with. The framework prints the stack of what a function throws;
 * this one's is a log line like the others, so that a refusal is one line.
 */
export class LoggedError extends Error {
  override readonly name = 'LoggedError';
}

/** @param fields of the line that is printed when the error is thrown to the framework */
export function loggedError(
  logger: Logger,
  level: 'info' | 'warn' | 'error',
  fields: object,
  message: string,
): LoggedError {
  const error = new LoggedError(message);
  const destination = {
    write(text: string) {
      error.stack = text.trimEnd();
    },
  };
  createLogger(destination).child(logger.bindings())[level](fields, message);
  return error;
}

/** Logs that no rule of the mapping holds for a source. */
export function logUnmatched(logger: Logger, context: RecordContext): void {
  const place =
    context.kind === 'object'
      ? { bucket: context.bucket, object: context.object }
      : { subscription: context.kind === 'message' ? context.subscription : undefined };
  const fields = { ...place, code: 'mapping_unmatched' };
  logger.warn(
    fields,
    'No rule of IMPORT_MAPPING holds for this source, and maybe others: its records are read as Mixpanel events',
  );
}
