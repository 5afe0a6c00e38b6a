/** IP addresses. */

import { isIP } from 'node:net';

/** The value if it is an address, IPv4 or IPv6. One that was made anonymous, such as `192.0.2.x`, is none. */
export function addressOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return isIP(text) === 0 ? undefined : text;
}
