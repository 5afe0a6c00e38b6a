/** Avro container files as a format. */

import type { StreamFormat } from '../format.ts';
import { AvroParser } from './parser.ts';

/** The format of what begins with `Obj` and 1. */
export const avroFormat: StreamFormat = {
  access: 'stream',
  name: 'avro',
  parser: (context, from) => new AvroParser(context, from),
};
