import { describe, expect, it } from 'vitest';
import { namesTag } from './entity-tags.ts';

describe('If-None-Match', () => {
  it.each([
    [undefined, '"a"', false],
    ['"a"', '"a"', true],
    ['W/"a"', '"a"', true],
    ['"a"', 'W/"a"', true],
    ['"b", W/"a" , "c,d"', '"a"', true],
    ['"b", "c,d"', '"c,d"', true],
    [' * ', '"a"', true],
    ['a', '"a"', false],
    ['"A"', '"a"', false],
    ['', '"a"', false],
  ])('%s of %s', (header, tag, named) => expect(namesTag(header, tag)).toBe(named));
});
