/** Delimited text as a format. */

import type { StreamFormat } from '../format.ts';
import type { TextFormat } from './dialect.ts';
import { CsvParser } from './parser.ts';

/** What an earlier run knew stands in the position that it left. */
const UNKNOWN: TextFormat = { header: true, quote: '"', null: [] };

/** @param text how rows are told apart; not needed to resume */
export function csvFormat(text: TextFormat = UNKNOWN): StreamFormat {
  return { access: 'stream', name: 'csv', parser: (context, from) => new CsvParser(context, text, from) };
}
