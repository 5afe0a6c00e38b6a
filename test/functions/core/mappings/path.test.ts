import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeAt, EVERY, getterOf, parsePath } from '../../../../functions/core/mappings/path.ts';

describe('a path', () => {
  const paths: [text: string, parts: unknown[] | undefined][] = [
    ['name', ['name']],
    ['context.page.url', ['context', 'page', 'url']],
    ['items[0].sku', ['items', 0, 'sku']],
    ['items[].sku', ['items', EVERY, 'sku']],
    ['a[1][2]', ['a', 1, 2]],
    ['["a.b"]', ['a.b']],
    ['a["b.c"].d', ['a', 'b.c', 'd']],
    ['["say \\"hi\\""]', ['say "hi"']],
    ['$user id', ['$user id']],
    ['', undefined],
    ['.a', undefined],
    ['a.', undefined],
    ['a..b', undefined],
    ['[0]', undefined],
    ['[]', undefined],
    ['a[b]', undefined],
    ['a[-1]', undefined],
    ['a]', undefined],
    ['["a"', undefined],
  ];
  for (const [text, parts] of paths) {
    test(`the path ${JSON.stringify(text)} is ${parts === undefined ? 'none' : 'parsed'}`, () =>
      assert.deepEqual(parsePath(text), parts));
  }

  const record = { a: { b: { c: 1 }, list: [{ d: 2 }], text: 'xyz' }, nothing: null, 'a.b': 3 };
  const found: [path: string, value: unknown][] = [
    ['a.b.c', 1],
    ['a.list[0].d', 2],
    ['["a.b"]', 3],
    ['a.list[1].d', undefined],
    ['a.text.length', undefined],
    ['a.list.length', undefined],
    ['nothing.more', undefined],
    ['a.b.c.d.e', undefined],
    ['constructor', undefined],
    ['a.__proto__', undefined],
    ['toString.name', undefined],
  ];
  for (const [path, value] of found) {
    test(`the path ${path} finds ${JSON.stringify(value) ?? 'nothing'}`, () =>
      assert.equal(getterOf(parsePath(path)!)(record), value));
  }
});

describe('changeAt', () => {
  test('changeAt copies what holds the change, and shares the rest', () => {
    const value = { a: [{ b: 1, c: { d: 2 } }, { b: 3 }], e: { f: 4 } };
    const changed = changeAt(value, parsePath('a[].b')!, (b) => Number(b) * 10) as typeof value;
    assert.deepEqual(changed, { a: [{ b: 10, c: { d: 2 } }, { b: 30 }], e: { f: 4 } });
    assert.deepEqual(value, { a: [{ b: 1, c: { d: 2 } }, { b: 3 }], e: { f: 4 } });
    assert.equal(changed.e, value.e);
    assert.equal(changed.a[0]!.c, value.a[0]!.c);
  });

  test('changeAt leaves out what becomes undefined, also elements', () => {
    const out = (path: string) => changeAt({ a: { b: 1, c: 2 }, l: [1, 2, 3] }, parsePath(path)!, () => undefined);
    assert.deepEqual(out('a.b'), { a: { c: 2 }, l: [1, 2, 3] });
    assert.deepEqual(out('l[1]'), { a: { b: 1, c: 2 }, l: [1, 3] });
    assert.deepEqual(out('a.missing.b'), { a: { b: 1, c: 2 }, l: [1, 2, 3] });
  });
});
