import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isKilnError } from '#std';
import { expandWord, expandWords, type ExpandOptions } from './expand-word.ts';

const variables = new Map([
  ['HOME', '/home'],
  ['EMPTY', ''],
  ['FILE', 'archive.tar.gz'],
  ['LIST', 'a b  c'],
]);
const options: ExpandOptions = { escape: '\\' };
const expand = (word: string, more: Partial<ExpandOptions> = {}): string =>
  expandWord(word, variables, { ...options, ...more }).value;

describe('expandWord', () => {
  test.each([
    ['plain', 'plain'],
    ['$HOME/x', '/home/x'],
    ['${HOME}x', '/homex'],
    ['$NONE.', '.'],
    ['$.', '$.'],
    ['a$', 'a$'],
    ["'$HOME'", '$HOME'],
    ['"$HOME"', '/home'],
    ['\\$HOME', '$HOME'],
    ['\\\\$HOME', '\\/home'],
    ['"a\\"b\\c"', 'a"b\\c'],
    ['a\\', 'a'],
    ['${NONE:-d} ${EMPTY:-d} ${HOME:-d}', 'd d /home'],
    ['${NONE-d} ${EMPTY-d} ${HOME-d}', 'd  /home'],
    ['${NONE:+a}|${EMPTY:+a}|${HOME:+a}', '||a'],
    ['${NONE+a}|${EMPTY+a}|${HOME+a}', '|a|a'],
    ['${NONE:-${ALSO:-$HOME}}', '/home'],
    ['${FILE#*.}', 'tar.gz'],
    ['${FILE##*.}', 'gz'],
    ['${FILE%.*}', 'archive.tar'],
    ['${FILE%%.*}', 'archive'],
    ['${FILE/ar/X}', 'Xchive.tar.gz'],
    ['${FILE//ar/X}', 'Xchive.tX.gz'],
    ['${FILE/./\\/}', 'archive\\/tar.gz'],
    ['$1x', 'x'],
    ['한$HOME', '한/home'],
  ])('%s → %s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each([
    ['"open', 'matching double-quote'],
    ["'open", 'matching single-quote'],
    ['${HOME', "missing '}'"],
    ['${', "missing '}'"],
    ['${}', 'bad substitution'],
    ['${HOME:x}', 'unsupported modifier (:x)'],
    ['${HOME^}', 'unsupported modifier (^)'],
    ['${NONE:?}', 'NONE: is not allowed to be unset'],
    ['${EMPTY:?}', 'EMPTY: is not allowed to be empty'],
    ['${NONE?why not}', 'NONE: why not'],
    ['${FILE/a}', "missing '/'"],
    [`${'${A:-'.repeat(100)}${'}'.repeat(100)}`, 'within each other'],
  ])('%s is refused', (word, message) => {
    expect(() => expand(word)).toThrow(message);
  });

  test('tells what was looked up', () => {
    const { matched, unmatched } = expandWord('$HOME ${NONE:-$EMPTY}', variables, options);
    expect([[...matched], [...unmatched]]).toEqual([['HOME', 'EMPTY'], ['NONE']]);
  });

  test('keeps what a shell will read again', () => {
    expect(expand('"$HOME" $NONE ${NONE:-x}', { rawQuotes: true, skipUnset: true })).toBe('"/home" $NONE ${NONE:-x}');
    expect(expand('"a" \'$HOME\'', { plainQuotes: true })).toBe('"a" \'/home\'');
  });

  test('does not grow without bounds', () => {
    const big = new Map([['A', 'x'.repeat(100_000)]]);
    expect(() => expandWord('$A$A', big, options)).toThrow('longer than');
  });

  test('patterns cannot take long', () => {
    const big = new Map([['A', 'a'.repeat(50_000)]]);
    const startedAt = performance.now();
    expect(expandWord(`\${A##${'*a'.repeat(20)}b}`, big, options).value).toHaveLength(50_000);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test('any text expands, or is refused by name', () => {
    const text = fc
      .array(fc.constantFrom(...'${}:-+?#%/\\\'"<ab A.*'), { maxLength: 24 })
      .map((chars) => chars.join(''));
    fc.assert(
      fc.property(text, fc.boolean(), (word, skipUnset) => {
        try {
          expandWord(word, variables, { escape: '\\', skipUnset });
        } catch (thrown) {
          expect(isKilnError(thrown, 'DOCKERFILE_INVALID')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a quoted value comes out as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const quoted = `"${value.replace(/["$\\]/g, '\\$&')}"`;
        expect(expand(quoted)).toBe(value);
        expect(expandWord('$V', new Map([['V', value]]), options).value).toBe(value);
      }),
    );
  });
});

describe('expandWords', () => {
  test.each([
    ['a b', ['a', 'b']],
    ['  a\t"b c" ', ['a', 'b c']],
    ['x$LIST', ['xa', 'b', 'c']],
    ['"$LIST"', ['a b  c']],
    ['a\\ b', ['a b']],
    ['', []],
    ['<< EOF cat', ['<< EOF', 'cat']],
  ])('%j → %j', (text, words) => {
    expect(expandWords(text, variables, options)).toEqual(words);
  });
});
