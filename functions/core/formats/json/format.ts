/** JSON values as a format: newline-delimited, concatenated, in arrays, or any mixture. */

import type { StreamFormat } from '../format.ts';
import { JsonParser } from './parser.ts';

/** The format of everything that has no signature. */
export const jsonFormat: StreamFormat = {
  access: 'stream',
  name: 'json',
  parser: (context, from, scratch) => new JsonParser(context, from, scratch),
};
