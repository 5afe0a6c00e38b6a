/** Avro container files as a format. */

import type { Format } from '../format.ts';
import { AvroParser } from './parser.ts';

/** The format of what begins with `Obj` and 1. */
export const avroFormat: Format = {
  access: 'stream',
  name: 'avro',
  parser: (context, from) => new AvroParser(context, from),
};
