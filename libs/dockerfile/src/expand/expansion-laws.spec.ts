import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { propertyRuns } from '#testing';
import { WorkMeter } from '../work-meter.ts';
import { expandWord, type Variables } from './expand-word.ts';
import { replace, trimPrefix, trimSuffix } from './substitute.ts';

const values = new Map([
  ['SET', 'abcabc'],
  ['EMPTY', ''],
  ['PATHS', 'a/b/c.tar.gz'],
]);
const expand = (word: string, variables: Variables = values): string =>
  expandWord(word, variables, { escape: '\\' }).value;

const name = fc.constantFrom('SET', 'EMPTY', 'PATHS', 'UNSET');
const plain = fc.stringMatching(/^[a-z./,:=-]{0,5}$/);
const pattern = fc
  .array(fc.constantFrom('a', 'b', 'c', '.', '*', '?'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(''));

/** Words that mean the same here and in a shell. */
const { word } = fc.letrec<{ word: string; part: string }>((tie) => ({
  word: fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
  part: fc.oneof(
    { depthSize: 'small' },
    plain,
    name.map((each) => `\${${each}}`),
    plain.map((each) => `'${each} $SET'`),
    fc.tuple(plain, name).map(([text, each]) => `"${text} $${each}"`),
    fc.constantFrom('\\$', '\\"', "\\'", '\\ '),
    fc
      .tuple(name, fc.constantFrom('#', '##', '%', '%%'), pattern)
      .map(([each, how, what]) => `\${${each}${how}${what}}`),
    fc
      .tuple(name, fc.constantFrom(':-', '-', ':+', '+'), tie('word'))
      .map(([each, how, what]) => `\${${each}${how}${what}}`),
  ),
}));

describe('expansion', () => {
  test('leaves alone what has no dollar, quote or escape', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!/[$"'\\]/.test(text));
        expect(expand(text)).toBe(text);
      }),
      propertyRuns(300),
    );
  });

  test('of words one after the other is that of each', () => {
    fc.assert(
      fc.property(word, word, (one, other) => {
        expect(expand(`${one},${other}`)).toBe(`${expand(one)},${expand(other)}`);
      }),
      propertyRuns(300),
    );
  });

  test('is what a shell makes of the word', () => {
    const words = fc.sample(word, propertyRuns(300).numRuns);
    const set = [...values].map(([key, value]) => `${key}='${value}'`).join('; ');
    // An assignment neither splits nor looks for files.
    const script = `${set}; ${words.map((each) => `v=${each}; printf '%s\\n' "$v"`).join('; ')}`;
    const shell = execFileSync('/bin/sh', [], { input: script, encoding: 'utf8', env: {} }).split('\n');
    expect(words.map((each) => [each, expand(each)])).toEqual(words.map((each, index) => [each, shell[index]]));
  });

  test('with the other escape token is the same, the tokens exchanged', () => {
    fc.assert(
      fc.property(word, (text) => {
        fc.pre(!/[#%]/.test(text));
        const other = expandWord(text.replaceAll('\\', '`'), values, { escape: '`' }).value;
        expect(other).toBe(expand(text));
      }),
      propertyRuns(300),
    );
  });
});

describe('patterns', () => {
  const text = fc.stringMatching(/^[abc.]{0,8}$/);
  const regex = (glob: string, star: string): string =>
    glob.replace(/./g, (char) => (char === '*' ? star : char === '?' ? '[^]' : char === '.' ? '\\.' : char));

  test('are those of a regular expression', () => {
    fc.assert(
      fc.property(text, pattern, fc.constantFrom('', '-', 'xy'), (value, glob, by) => {
        const greedy = regex(glob, '[^]*');
        const lazy = regex(glob, '[^]*?');
        expect(trimPrefix(value, glob, true)).toBe(value.replace(new RegExp(`^${greedy}`), ''));
        expect(trimPrefix(value, glob, false)).toBe(value.replace(new RegExp(`^${lazy}`), ''));
        expect(replace(value, glob, by, false)).toBe(value.replace(new RegExp(greedy), by));
        const reversed = (each: string): string => [...each].reverse().join('');
        const back = (longest: boolean): string => reversed(trimPrefix(reversed(value), reversed(glob), longest));
        expect(trimSuffix(value, glob, true)).toBe(back(true));
        expect(trimSuffix(value, glob, false)).toBe(back(false));
      }),
      propertyRuns(1000),
    );
  });
});

describe('the work of an expansion', () => {
  const stepsOf = (text: string, size: number): number => {
    const meter = new WorkMeter();
    const value = 'x'.repeat(size);
    expandWord(text, { get: () => value, meter }, { escape: '\\', limit: Number.POSITIVE_INFINITY });
    return meter.steps;
  };

  test.each(['$a', '${a}', '${a#y}', '${a%%*y}', '${a//y*y/z}', '${a:+b}', '"$a"', '${b:-$a}'])(
    'of %s grows as its value does, and as it is written again',
    (text) => {
      expect(stepsOf(text, 8000)).toBeLessThanOrEqual(8 * stepsOf(text, 1000));
      expect(stepsOf(text.repeat(8), 1000)).toBe(8 * stepsOf(text, 1000));
    },
  );

  test('has a bound', () => {
    const meter = new WorkMeter();
    const value = 'x'.repeat(60_000);
    const once = (): string => expand('${a//xxxxxxxxxxxxxxxxxxxx/}', { get: () => value, meter });
    expect(() => Array.from({ length: 100 }, once)).toThrow('more than 100000000 steps');
  });
});
