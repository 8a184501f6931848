import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applySymbolicMode, parseSymbolicMode } from './symbolic-mode.ts';

function after(text: string, mode: number, isDirectory = false): string {
  const changes = parseSymbolicMode(text);
  return changes === undefined ? 'invalid' : applySymbolicMode(changes, mode, isDirectory).toString(8);
}

describe('symbolic modes', () => {
  test.each([
    ['u=rwX,go=rX', 0o600, '644'],
    ['u=rwX,go=rX', 0o700, '755'],
    ['a+X', 0o666, '666'],
    ['a+X', 0o124, '135'],
    ['+x', 0o644, '755'],
    ['a-w', 0o777, '555'],
    ['go-w', 0o666, '644'],
    ['u+rw,g+r,o-x,o+w', 0o124, '766'],
    ['=', 0o7777, '1000'],
    ['a=', 0o4755, '0'],
    ['go=', 0o777, '700'],
    ['go=u-w', 0o750, '755'],
    ['g=u', 0o640, '660'],
    ['o+g', 0o640, '644'],
    ['u-g', 0o740, '340'],
    ['u+s,g+s', 0o755, '6755'],
    ['+s', 0o755, '6755'],
    ['o+s', 0o755, '755'],
    ['+t', 0o777, '1777'],
    ['o+t', 0o777, '777'],
    ['u=rws,g=rxs,o=', 0o0, '6650'],
    ['u+r-w+x', 0o200, '500'],
    ['u=,u+X', 0o111, '111'],
    ['-X', 0o755, '644'],
    ['+', 0o640, '640'],
  ])('%s makes %o %s', (text, mode, expected) => {
    expect(after(text, mode)).toBe(expected);
  });

  test('X is for directories too', () => {
    expect(after('u=rwX,go=rX', 0o600, true)).toBe('755');
    expect(after('a-x,a+X', 0o644, true)).toBe('755');
  });

  test.each(['', 'u', 'r', 'u+q', 'z+x', 'u+x,', ',u+x', 'u+x g+x', '64a', '+8', 'u=r,,g=r'])('%j is none', (text) => {
    expect(parseSymbolicMode(text)).toBeUndefined();
  });
});

describe('beside chmod(1)', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'kiln-mode-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const characters = (all: string, min: number) =>
    fc.array(fc.constantFrom(...all), { minLength: min, maxLength: 4 }).map((list) => list.join(''));
  const action = fc
    .tuple(fc.constantFrom('+', '-', '='), fc.oneof(characters('rwx', 0), fc.constantFrom('u', 'g', 'o')))
    .map((parts) => parts.join(''));
  const clause = fc
    .tuple(characters('ugoa', 1), fc.array(action, { minLength: 1, maxLength: 3 }))
    .map(([who, actions]) => who + actions.join(''));
  const mode = fc.array(clause, { minLength: 1, maxLength: 4 }).map((clauses) => clauses.join(','));

  test('what both take gives the same', () => {
    const file = join(dir, 'file');
    writeFileSync(file, '');
    fc.assert(
      fc.property(mode, fc.integer({ min: 0, max: 0o777 }), (text, before) => {
        chmodSync(file, before);
        execFileSync('chmod', ['--', text, file]);
        expect(after(text, before)).toBe((statSync(file).mode & 0o7777).toString(8));
      }),
      { numRuns: 60 },
    );
  });

  test('no text breaks the parser', () => {
    fc.assert(
      fc.property(characters('ugoarwxXst+-=,7 ', 0), fc.integer({ min: 0, max: 0o7777 }), fc.boolean(), (...given) => {
        expect(after(...given)).toMatch(/^(invalid|[0-7]{1,4})$/);
      }),
    );
  });
});
