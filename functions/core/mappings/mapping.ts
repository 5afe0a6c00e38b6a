/** Mappings: what becomes of a record before it is sent. Decided once for each source. */

import { asEvent, passThrough, type RecordContext, type Transform, type TransformResult } from '../event.ts';

/** Sends records as they are, or makes events of them. */
export type Mapping = { readonly kind: 'verbatim' } | MappedRecords;

/** Makes events of records. */
export interface MappedRecords {
  readonly kind: 'mapped';
  /** What a record passes, in order, as dead letters name it. */
  readonly through: readonly string[];
  /**
   * @param record a JSON object or a row
   * @returns events, or a promise; whether they are events is checked afterwards
   * @throws anything; the record is then rejected
   */
  map(record: unknown, context: RecordContext): TransformResult | Promise<TransformResult>;
}

/** Records travel byte for byte. */
export const VERBATIM: Mapping = { kind: 'verbatim' };

/** The mapping that hands every record to a transform; verbatim if the transform leaves all of them as they are. */
export function mappingOf(transform: Transform<never>): Mapping {
  if (transform === passThrough) return VERBATIM;
  return {
    kind: 'mapped',
    through: ['transform'],
    map: (record, context) => transform(record as never, context),
  };
}

/** Rows are events already if no mapping makes them. */
export const AS_THEY_ARE: MappedRecords = { kind: 'mapped', through: [], map: asEvent };
