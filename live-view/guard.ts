/** Refuses whatever does not come from the page itself: beyond the guard of all local servers, links and programs. */

import type { IncomingMessage } from 'node:http';
import * as local from '../local-cloud/guard.ts';

/** Sent with every answer. Nothing may be loaded from elsewhere, and no text can become markup or code. */
export const SECURITY_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** @returns the reason why the request is refused; undefined if it is not */
export function refusalOf({ method, url, headers }: IncomingMessage): string | undefined {
  const refusal = local.refusalOf(headers);
  if (refusal !== undefined) return refusal;
  // A browser sends Origin with every POST; what asks without a browser has the servers themselves.
  if (method !== 'GET' && headers.origin === undefined) return 'Only the page itself may ask for this';
  const site = headers['sec-fetch-site'] ?? 'none';
  // A link from elsewhere may lead to the page; nothing else of it is given to others.
  const isLink = url === '/' && headers['sec-fetch-mode'] === 'navigate';
  if (site !== 'same-origin' && site !== 'none' && !isLink) return 'Another page may not ask for this';
  return undefined;
}
