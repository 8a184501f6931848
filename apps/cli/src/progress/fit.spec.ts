import { describe, expect, it } from 'vitest';
import { fit, pad, rowsOf, widthOf } from './fit.ts';

describe('fit', () => {
  it('cuts by columns, not characters', () => {
    expect(fit('abcdef', 6)).toBe('abcdef');
    expect(fit('abcdef', 4)).toBe('abc…');
    expect(fit('日本語です', 5)).toBe('日本…');
    expect(widthOf(fit('日本語です', 6))).toBeLessThanOrEqual(6);
    expect(fit('👩‍👩‍👧‍👦 family', 4)).toBe('👩‍👩‍👧‍👦 …');
    expect(fit('abc', 0)).toBe('');
  });

  it('lets colours through and closes them', () => {
    expect(fit('\x1b[31mabcdef', 4)).toBe('\x1b[31mabc…\x1b[0m');
    expect(fit('\x1b[31mabc', 4)).toBe('\x1b[31mabc\x1b[0m');
  });

  it('fills up to a width and counts rows', () => {
    expect(pad('ab', 4)).toBe('ab  ');
    expect(pad('日', 4)).toBe('日  ');
    expect([rowsOf('', 10), rowsOf('a'.repeat(10), 10), rowsOf('a'.repeat(11), 10)]).toEqual([1, 1, 2]);
  });
});
