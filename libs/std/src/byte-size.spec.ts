import { expect, test } from 'vitest';
import { parseByteSize } from './byte-size.ts';

test.each([
  ['0', 0],
  ['1234', 1234],
  ['12b', 12],
  ['1k', 1024],
  ['1.5KB', 1536],
  ['64m', 64 * 1024 ** 2],
  ['2 GiB', 2 * 1024 ** 3],
  ['1ib', 1],
  ['', undefined],
  ['-1', undefined],
  ['1.', undefined],
  ['ten', undefined],
  ['1x', undefined],
  ['99999999p', undefined],
])('%s', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});
