/** Reads `gs://` addresses. */

import { UsageError } from '../import/arguments.ts';

/** A bucket, and what stands behind it: an object's name, a prefix, or nothing. */
export interface Address {
  bucket: string;
  name: string;
}

/**
 * @param text `gs://BUCKET`, `gs://BUCKET/` or `gs://BUCKET/NAME`
 * @throws {@link UsageError} where it is nothing of the kind
 */
export function parseAddress(text: string): Address {
  const [, bucket, name = ''] = /^gs:\/\/([^/\s]+)(?:\/(.*))?$/s.exec(text) ?? [];
  if (bucket === undefined) throw new UsageError(`${text}: must be gs://BUCKET, with or without a name behind it`);
  return { bucket, name };
}

/** The address as it is written. */
export function formatAddress({ bucket, name }: Address): string {
  return `gs://${bucket}/${name}`;
}
