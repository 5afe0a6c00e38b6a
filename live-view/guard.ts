/**
 * Refuses whatever does not come from the page itself. That the server listens on loopback is not enough: any page in the
 * same browser can send requests there, and one whose name is made to point here (DNS rebinding) can read the answers.
 */

import type { IncomingMessage } from 'node:http';

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

/**
 * @param port on which the server listens
 * @returns why the request is refused; undefined where it is not
 */
export function refusalOf({ method, url, headers }: IncomingMessage, port: number): string | undefined {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  const { host = '', origin } = headers;
  if (!hosts.includes(host)) return `This is ${hosts.join(' or ')}, and nothing else`;
  // A browser sends Origin with every POST; what asks without a browser has the servers themselves.
  if (method !== 'GET' && origin === undefined) return 'Only the page itself may ask for this';
  if (origin !== undefined && origin !== `http://${host}`) return 'Another page may not ask for this';
  const site = headers['sec-fetch-site'] ?? 'none';
  // A link from elsewhere may lead to the page; nothing else of it is given to others.
  const isLink = url === '/' && headers['sec-fetch-mode'] === 'navigate';
  if (site !== 'same-origin' && site !== 'none' && !isLink) return 'Another page may not ask for this';
  return undefined;
}
