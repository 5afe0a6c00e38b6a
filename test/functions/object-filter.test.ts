import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { globProblem } from '../../functions/core/glob.ts';
import { createObjectFilter, TEMPORARY_OBJECTS } from '../../functions/object-filter.ts';

const none = { objectPrefix: '', objectInclude: [], objectExclude: [] };
const DETAILS = 'parallel_composite_uploads';

describe('the filter of object names', () => {
  const GLOBS: Record<string, { matches: string[]; not: string[] }> = {
    '*.crc': { matches: ['a.crc', 'x/y/.a.crc', '.crc'], not: ['a.crc.json', 'a.crc/b', 'acrc'] },
    'a*b': { matches: ['ab', 'a--b', 'x/a.b', 'a\nb'], not: ['a/b', 'ab/c', 'xab', 'abx'] },
    'a?b': { matches: ['a,b', 'a🎉b', 'aéb', 'a[b', 'x/a b'], not: ['ab', 'a/b', 'a--b'] },
    '**': { matches: ['a', 'a/b'], not: [] },
    'in/*.json': {
      matches: ['in/a.json', 'in/.json'],
      not: ['in/a/b.json', 'x/in/a.json', 'in/a.json/b', 'in/a.JSON'],
    },
    'in/**': { matches: ['in/a', 'in/a/b'], not: ['in', 'x/in/a', 'inn/a'] },
    '**/raw/*': { matches: ['raw/a', 'x/raw/a', 'x/y/raw/a', '/raw/a'], not: ['xraw/a', 'raw/a/b', 'x/rawy/a', 'raw'] },
    'in/**/raw.json': {
      matches: ['in/raw.json', 'in/a/b/raw.json'],
      not: ['in/xraw.json', 'inraw.json', 'in/raw.jsonx'],
    },
    'in**.json': { matches: ['in.json', 'a/inn.json'], not: ['in/a.json', 'in.jso'] },
    '/**.json': { matches: ['/a.json', '/in/a/b.json'], not: ['a.json', 'in/a.json'] },
    'a**/b': { matches: ['a/b', 'ax/y/b'], not: ['ab', 'a/b/c'] },
    '/a': { matches: ['/a'], not: ['a', 'b/a'] },
    '*/*': { matches: ['a/b', '/b'], not: ['a', 'a/b/c'] },
    'a.b+(c)|$^': { matches: ['a.b+(c)|$^'], not: ['axb+(c)|$^', 'a.bb'] },
    '*a*b*c': { matches: ['abc', 'aabbcc', 'xaybzc'], not: ['acb', 'abcx', ''] },
  };
  for (const [glob, { matches, not }] of Object.entries(GLOBS)) {
    test(`includes and excludes by ${glob}`, () => {
      assert.equal(globProblem(glob), undefined);
      const included = createObjectFilter({ ...none, objectInclude: ['nothing', glob] });
      const excluded = createObjectFilter({ ...none, objectExclude: ['nothing', glob] });
      for (const name of matches) {
        assert.deepEqual([included(name), excluded(name)], [undefined, 'excluded'], JSON.stringify(name));
      }
      for (const name of not) {
        assert.deepEqual([included(name), excluded(name)], ['excluded', undefined], JSON.stringify(name));
      }
    });
  }

  test('leaves out temporary objects and names that end with a slash, and nothing else, by default', () => {
    const filter = createObjectFilter({ ...none, objectExclude: TEMPORARY_OBJECTS });
    const excluded = [
      'folder/',
      '/',
      '_temporary/0/part-0.json',
      'out/_temporary/0/_temporary/attempt_1/part-0.json',
      'out/.part-0.json.crc',
      'a.ndjson.filepart',
      `gcloud/tmp/${DETAILS}/see_gcloud_storage_cp_help_for_details/0123_a_0`,
      `123/gsutil/tmp/${DETAILS}/for_details_see/gsutil_help_cp/0123_0`,
      `gsutil/tmp/${DETAILS}/x`,
    ];
    for (const name of excluded) assert.equal(filter(name), 'excluded', name);
    const meant = ['a', 'gcloud/tmp/a', '_temporary', 'my_temporary/a', 'a.crc.gz', 's3/bucket/a.json', 'crc', 'none'];
    for (const name of meant) assert.equal(filter(name), undefined, name);
  });

  test('excludes before it includes, within the prefix alone', () => {
    const filter = createObjectFilter({
      objectPrefix: 'in/',
      objectInclude: ['*.json', 'out/**'],
      objectExclude: ['in/raw/**'],
    });
    const reasons = ['in/a.json', 'in/a.txt', 'in/raw/a.json', 'out/a.json', 'in/'].map(filter);
    assert.deepEqual(reasons, [undefined, 'excluded', 'excluded', 'prefix', 'excluded']);
  });

  test('takes no longer for a pattern that is made to be slow', { timeout: 5_000 }, () => {
    const filter = createObjectFilter({ ...none, objectExclude: [`${'**a'.repeat(100)}b`, `${'*a'.repeat(100)}b`] });
    assert.equal(filter('a'.repeat(1_024)), undefined);
  });
});

test('patterns that cannot be globs are told from those that can', () => {
  const bad = ['', 'a[b', 'a]', '{a', 'b}', 'a\\b', 'a/***', 'gs://b/a', 'a\nb', 'é'.repeat(513)];
  for (const pattern of bad) assert.equal(typeof globProblem(pattern), 'string', pattern);
  for (const pattern of ['a b', '!a', '#a', '(a|b)', 'é'.repeat(512)]) assert.equal(globProblem(pattern), undefined);
});
