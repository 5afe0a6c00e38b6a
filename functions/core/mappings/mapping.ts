/** Mappings: what becomes of a record before it is sent. Decided once for each source. */

import { asEvent, passThrough, type RecordContext, type Transform, type TransformResult } from '../event.ts';
import type { TextFormat } from '../formats/csv/dialect.ts';

/** Sends records as they are, or makes events of them. */
export type Mapping = { readonly kind: 'verbatim' } | MappedRecords;

/** Makes events of records. */
export interface MappedRecords {
  readonly kind: 'mapped';
  /** What a record passes, in order, as dead letters name it. */
  readonly through: readonly string[];
  /** How text is read; undefined if its content decides. */
  readonly format?: TextFormat | 'snowplow' | undefined;
  /** Whether parts of a record are meant to leave hashed, or not at all. */
  readonly hides?: boolean;
  /** Names in the first record, if no record so far had an event where the mapping looks for it; of objects and files. */
  readonly namesWithoutEvent?: readonly string[] | undefined;
  /**
   * @param record a JSON object or a row
   * @returns events, or a promise; whether they are events is checked afterwards
   * @throws anything; the record is then rejected
   */
  map(record: unknown, context: RecordContext): MapResult | Promise<MapResult>;
}

/** Events, or why there are none. */
export type MapResult = TransformResult | Misfit;

/** A record that cannot become an event. Messages never hold values, because a value can be one that must be hashed. */
export class Misfit {
  readonly field: string;
  readonly message: string;

  /** @param field `mapping.KEY`, or the column */
  constructor(field: string, message: string) {
    this.field = field;
    this.message = message;
  }
}

/** Records travel byte for byte. */
export const VERBATIM: Mapping = { kind: 'verbatim' };

/** The mapping that hands every record to a transform; verbatim if the transform leaves all of them as they are. */
export function mappingOf(transform: Transform<never>): Mapping {
  if (transform === passThrough) return VERBATIM;
  return {
    kind: 'mapped',
    through: ['transform'],
    hides: true,
    map: (record, context) => transform(record as never, context),
  };
}

/** Rows are events already if no mapping makes them. */
export const AS_THEY_ARE: MappedRecords = { kind: 'mapped', through: [], map: asEvent };
