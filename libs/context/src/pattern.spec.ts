import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasWildcard, matchPattern, unescapePattern } from './pattern.ts';

/** filepath.Match by trying everything, for patterns of letters, `*` and `?`. */
function naive(pattern: string, name: string): boolean {
  const [first, rest] = [pattern[0], pattern.slice(1)];
  if (first === undefined) return name === '';
  if (first === '*') {
    if (naive(rest, name)) return true;
    return name !== '' && name[0] !== '/' && naive(pattern, name.slice(1));
  }
  if (name === '' || (first === '?' ? name[0] === '/' : name[0] !== first)) return false;
  return naive(rest, name.slice(1));
}

describe('matchPattern', () => {
  it.each([
    ['index.js', 'index.js'],
    ['*', 'anything.at-all'],
    ['*', ''],
    ['package*.json', 'package-lock.json'],
    ['*/*.ts', 'src/a.ts'],
    ['?', 'é'],
    ['?', '😀'],
    ['?', '\udce9'],
    ['[a-c]x', 'bx'],
    ['[^a-c]x', 'dx'],
    ['[α-ω]', 'λ'],
    ['[!a]', '!'],
    ['[\\]]', ']'],
    ['[a\\-z]', '-'],
    ['a]', 'a]'],
    ['\\*', '*'],
    ['a\\\\b', 'a\\b'],
    ['\\d', 'd'],
    ['*a*b*', 'xxaxxbxx'],
  ])('%j covers %j', (pattern, name) => {
    expect(matchPattern(pattern, name)).toBe(true);
  });

  it.each([
    ['index.js', 'index_js'],
    ['index.js', 'src/index.js'],
    ['*', 'a/b'],
    ['?', '/'],
    ['?', ''],
    ['??', '😀'],
    ['[a-c]', 'd'],
    ['[^a-c]', 'a'],
    ['\\*', 'a'],
    ['*.ts', 'a.tsx'],
    ['**', 'a/b'],
    ['a', 'A'],
  ])('%j does not cover %j', (pattern, name) => {
    expect(matchPattern(pattern, name)).toBe(false);
  });

  it.each(['[', '[a', '[]', '[]a]', '[-a]', '[a-]', '[^]', 'a\\', '[a-b-c]', '[\\'])('refuses %j', (pattern) => {
    expect(() => matchPattern(pattern, 'a')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('is what trying everything finds', () => {
    const pattern = fc.array(fc.constantFrom('a', 'b', '/', '*', '?'), { maxLength: 8 }).map((parts) => parts.join(''));
    const name = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, name, (p, n) => {
        expect(matchPattern(p, n)).toBe(naive(p, n));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no longer for a hostile pattern', () => {
    const startedAtMs = performance.now();
    expect(matchPattern(`${'*a'.repeat(100)}*b`, 'a'.repeat(4000))).toBe(false);
    expect(performance.now() - startedAtMs).toBeLessThan(2000);
  });
});

it('hasWildcard sees wildcards that are not escaped', () => {
  expect(['a*', 'a?', 'a[b]', '\\\\*'].map(hasWildcard)).toEqual([true, true, true, true]);
  expect(['a', 'a\\*', 'a]', '\\[x]', ''].map(hasWildcard)).toEqual([false, false, false, false, false]);
  expect(unescapePattern('a\\*\\\\b')).toBe('a*\\b');
});
