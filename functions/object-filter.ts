/** Decides by an object's name whether it is to be imported. */

import { globMatcher } from './core/glob.ts';

/** Which names are meant. */
export interface ObjectNames {
  /** What names must begin with; empty for all. */
  objectPrefix: string;
  /** Globs, of which a name must match one; empty for all names. */
  objectInclude: readonly string[];
  /** Globs, of which a name must match none. */
  objectExclude: readonly string[];
}

/** Why an object is skipped: its name does not begin with the prefix, or is left out in another way. */
export type ExclusionReason = 'prefix' | 'excluded';

/** Returns why an object of this name is skipped; undefined if it is imported. */
export type ObjectFilter = (name: string) => ExclusionReason | undefined;

/**
 * Objects that other programs make and delete while they work: Hadoop and Spark, checksum files, WinSCP, and the parts of
 * parallel composite uploads by `gcloud storage` and `gsutil`, which puts a random number before the names of its parts.
 *
 * @see https://cloud.google.com/storage/docs/parallel-composite-uploads
 */
export const TEMPORARY_OBJECTS: readonly string[] = [
  '**/_temporary/**',
  '*.crc',
  '*.filepart',
  'gcloud/tmp/parallel_composite_uploads/**',
  '**/gsutil/tmp/parallel_composite_uploads/**',
];

/**
 * Makes the filter of one configuration. Exclusion comes before inclusion. Names that end with a slash stand for folders and
 * are always left out.
 *
 * @param names with globs of which {@link globProblem} says nothing
 */
export function createObjectFilter({ objectPrefix, objectInclude, objectExclude }: ObjectNames): ObjectFilter {
  const included = objectInclude.map(globMatcher);
  const excluded = objectExclude.map(globMatcher);
  return (name) => {
    if (!name.startsWith(objectPrefix)) return 'prefix';
    if (name.endsWith('/') || excluded.some((matches) => matches(name))) return 'excluded';
    return included.length === 0 || included.some((matches) => matches(name)) ? undefined : 'excluded';
  };
}
