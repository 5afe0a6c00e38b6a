/** The faults that the local Mixpanel can be asked for. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, errorAnswer, okAnswer } from './answers.ts';
import { type ImportBody, insertIdOf } from './request.ts';

/** A request as the fault hook sees it, when its body has been read and before anything is ingested. */
export interface ImportRequest {
  /** Its number among the import requests, from 0, in the order in which they were read whole. */
  readonly sequence: number;
  /** Its events. */
  readonly events: number;
  /** The size of its uncompressed body. */
  readonly bytes: number;
  /** The `$insert_id` of each event, or `''`; computed when it is asked for. */
  readonly ids: string[];
  /** Its uncompressed body; empty where it could not be decoded. */
  readonly body: string;
}

/** The fault that is an answer. */
export interface FaultAnswer {
  /** The HTTP status. */
  status: number;
  /** Headers besides, or in place of, the content type. */
  headers?: Record<string, string>;
  /** The body as it is sent; by default what is documented for the status. */
  body?: string;
  /** Whether the events are ingested first. */
  ingest?: boolean;
}

/**
 * What goes wrong with a request, in place of its answer:
 *
 * - `status` (with `headers` and `body`): this answer; with `ingest` after ingesting the events, as where a 200 is lost.
 *   The default body is the one documented for the status.
 * - `destroy`: the connection is cut without an answer, before or after ingesting.
 * - `delayMs`: a pause; then the fault `next`, or else what would have happened without a fault. It ends when the
 *   client goes away, and then nothing is ingested.
 * - `hang`: no answer, and nothing ingested, until the client goes away.
 * - `report`: the events are ingested, and a 200 claims this many.
 */
export type InjectedFault =
  | FaultAnswer
  | { destroy: 'before' | 'after' }
  | { delayMs: number; next?: InjectedFault }
  | { hang: true }
  | { report: number };

/** Asked for every request with good credentials; undefined leaves it alone. */
export type FaultHook = (request: ImportRequest) => InjectedFault | undefined;

/**
 * A request in the form in which the hook sees it.
 *
 * @param sequence - Its number.
 * @param body - Its body.
 * @returns What the hook is given.
 */
export function describe(sequence: number, body: ImportBody): ImportRequest {
  return {
    sequence,
    events: body.records.length,
    bytes: body.bytes,
    body: body.text,
    get ids() {
      return body.records.map(({ value }) => insertIdOf(value));
    },
  };
}

/**
 * The answer that a fault asks for.
 *
 * @param fault - The fault.
 * @param request - The request, whose events a 2xx claims to have taken.
 * @returns The answer.
 */
export function faultAnswer({ status, headers = {}, body }: FaultAnswer, request: ImportBody): Answer {
  const documented = status < 300 ? okAnswer(request.records.length) : errorAnswer(status);
  return { status, headers, body: body ?? documented.body };
}

/**
 * Waits for as long as the client does.
 *
 * @param delayMs - How long, in milliseconds.
 * @param response - The response that the client waits for.
 * @returns False where the client went away, or the server closed, before the time was over.
 */
export async function pause(delayMs: number, response: ServerResponse): Promise<boolean> {
  if (response.destroyed) return false;
  const gone = new AbortController();
  const abort = () => gone.abort();
  response.once('close', abort);
  try {
    await sleep(delayMs, undefined, { signal: gone.signal });
    return true;
  } catch {
    return false;
  } finally {
    response.off('close', abort);
  }
}

/**
 * Waits for the client to go away.
 *
 * @param response - The response that the client waits for.
 */
export async function untilGone(response: ServerResponse): Promise<undefined> {
  if (!response.destroyed) await once(response, 'close');
}
