import { describe, expect, it } from 'vitest';
import { globMatches } from './glob.ts';

describe('a pattern', () => {
  it.each([
    ['acme/*', 'acme/web', true],
    ['acme/*', 'acme/', true],
    ['acme/*', 'acme', false],
    ['acme/web', 'acme/web', true],
    ['acme/web', 'acme/webs', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['?', '', false],
    ['v?.*', 'v1.2', true],
    ['v?.*', 'v12', false],
    ['**a**', 'bab', true],
    ['*ab*ab', 'abab', true],
    ['*ab*ab', 'aba', false],
    ['a*b*c', 'a-c-b', false],
    ['a.c', 'abc', false],
    ['*\u00fc?', 'M\u00fcx', true],
  ])('%j of %j: %s', (pattern, text, expected) => {
    expect(globMatches(pattern, text)).toBe(expected);
  });

  it('takes no longer where it nearly fits everywhere', () => {
    expect(globMatches(`*${'a'.repeat(500)}b*`, 'a'.repeat(1_000_000))).toBe(false);
  });
});
