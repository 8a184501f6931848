import { describe, expect, it } from 'vitest';
import { commaList } from './comma-list.ts';

describe('a list with commas', () => {
  it.each([
    ['', []],
    [' , ', []],
    ['a', ['a']],
    [' a ,b,, c d ', ['a', 'b', 'c d']],
  ])('%j', (text, items) => expect(commaList(text)).toEqual(items));
});
