/** An object as a source of records. */

import type { Source } from '../core/block.ts';
import type { ObjectGeneration } from './names.ts';

/** Custom metadata as the client returns it, with texts as its values. */
export function customMetadata(metadata: Record<string, unknown> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, String(value)]));
}

/** @param custom metadata of the object */
export function objectSource(
  object: ObjectGeneration,
  custom: Readonly<Record<string, string>>,
): Omit<Source, 'mapping'> {
  // Frozen, as the transform is handed what dead letters repeat.
  const metadata = Object.freeze({ ...custom });
  const about = Object.keys(metadata).length > 0 ? { metadata } : {};
  return {
    context: { kind: 'object', bucket: object.bucket, object: object.object, metadata },
    locate: (offset, line) => ({ ...object, line, offset, ...about }),
  };
}
