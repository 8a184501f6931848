import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ignoreFilesFor, parseIgnore } from './ignore.ts';

describe('.dockerignore', () => {
  const ignored: readonly (readonly [string, string])[] = [
    ['node_modules', 'node_modules'],
    ['node_modules', 'node_modules/a/b.js'],
    ['/node_modules', 'node_modules/x'],
    ['node_modules/', 'node_modules'],
    ['./node_modules', 'node_modules'],
    ['a/../b', 'b'],
    ['  spaced  ', 'spaced'],
    ['two words', 'two words'],
    ['*.md', 'README.md'],
    ['*/temp*', 'a/temporary'],
    ['*/temp*', 'a/temporary/deep'],
    ['**/*.log', 'x.log'],
    ['**/*.log', 'a/b/x.log'],
    ['**/cache', 'a/cache/deep'],
    ['a/**/z', 'a/z'],
    ['a/**/z', 'a/b/c/z'],
    ['a/**', 'a/b'],
    ['**', 'anything/at/all'],
    ['**end', 'a/the-end'],
    ['ab**', 'abc/d'],
    ['temp?', 'tempa'],
    ['[ab]', 'a'],
    ['a.b', 'a.b'],
    ['\\#file', '#file'],
    ['file\r', 'file'],
    ['!a\na', 'a'],
    ['a\n!a/keep\na/keep/not', 'a/keep/not'],
    ['*\n!src', 'other'],
    ['  # not a comment', '# not a comment'],
    ['caf\u00e9', 'caf\u00e9/x'],
    ['/ blank', 'blank'],
  ];
  it.each(ignored)('%j ignores %j', (text, path) => {
    expect(parseIgnore(text).ignores(path)).toBe(true);
  });

  const taken: readonly (readonly [string, string])[] = [
    ['', 'a'],
    ['# comment', '# comment'],
    ['node_modules', 'src/node_modules'],
    ['*.md', 'docs/README.md'],
    ['*/temp*', 'temporary'],
    ['a/**', 'a'],
    ['a/**/z', 'a/b/zz'],
    ['temp?', 'temp'],
    ['a.b', 'axb'],
    ['.', 'a'],
    ['/', 'a'],
    ['../a', 'a'],
    ['*.md\n!README.md', 'README.md'],
    ['docs\n!docs/keep', 'docs/keep'],
    ['docs\n!docs/keep', 'docs/keep/below'],
    ['*\n!src', 'src/a/b'],
    ['**\n!**/*.ts', 'a/b/c.ts'],
    ['**\n! src', 'src'],
    ['**\n/!src', 'src'],
    ['**\n./!src', 'src'],
    ['\ufeffa', 'b'],
  ];
  it.each(taken)('%j does not ignore %j', (text, path) => {
    expect(parseIgnore(text).ignores(path)).toBe(false);
  });

  it('takes a byte order mark for none', () => {
    expect(parseIgnore('\ufeffa').ignores('a')).toBe(true);
  });

  it.each(['!', 'a\n! ', '[', 'a\\', '!/'])('refuses %j by line', (text) => {
    expect(() => parseIgnore(text)).toThrow(
      expect.objectContaining({
        code: 'CONTEXT_INVALID',
        message: expect.stringContaining(`line ${text.split('\n').length}`) as string,
      }),
    );
  });

  it('belongs to one Dockerfile first', () => {
    expect(ignoreFilesFor('docker/api.Dockerfile')).toEqual(['docker/api.Dockerfile.dockerignore', '.dockerignore']);
  });
});

// Patterns whose meaning needs no matcher: components that are names, or * for any one of them.
const component = fc.constantFrom('a', 'b', 'c', '*');
const line = fc
  .tuple(fc.boolean(), fc.array(component, { minLength: 1, maxLength: 3 }))
  .map(([exception, components]) => ({ exception, components }));
const lines = fc.array(line, { maxLength: 5 });
const path = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 });
const textOf = (list: readonly { exception: boolean; components: readonly string[] }[]): string =>
  list.map(({ exception, components }) => `${exception ? '!' : ''}${components.join('/')}`).join('\n');

const covers = (components: readonly string[], at: readonly string[]): boolean =>
  components.length === at.length && components.every((name, index) => name === '*' || name === at[index]);

describe('the rules', () => {
  it('are those of a plain reading: going down, the last pattern decides, and what matched stays matched', () => {
    fc.assert(
      fc.property(lines, path, (list, at) => {
        let inherited: boolean[] = [];
        let ignored = false;
        for (let depth = 1; depth <= at.length; depth++) {
          ignored = false;
          const here: boolean[] = [];
          for (const [index, { exception, components }] of list.entries()) {
            // A pattern is looked at only where it could change the verdict.
            here[index] =
              inherited[index] === true || (exception === ignored && covers(components, at.slice(0, depth)));
            if (here[index] === true) ignored = !exception;
          }
          inherited = here;
        }
        expect(parseIgnore(textOf(list)).ignores(at.join('/'))).toBe(ignored);
      }),
      { numRuns: 2000 },
    );
  });

  it('without exceptions ignore what a pattern covers, and all below', () => {
    fc.assert(
      fc.property(lines, path, (list, at) => {
        const plain = list.map(({ components }) => ({ exception: false, components }));
        const expected = plain.some(({ components }) =>
          at.some((_, index) => covers(components, at.slice(0, index + 1))),
        );
        expect(parseIgnore(textOf(plain)).ignores(at.join('/'))).toBe(expected);
      }),
    );
  });

  it('never take back anything below a directory that need not be looked into', () => {
    fc.assert(
      fc.property(lines, path, path, (list, at, below) => {
        const rules = parseIgnore(textOf(list));
        const directory = at.join('/');
        if (!rules.ignores(directory) || rules.mayReinclude(directory)) return;
        expect(rules.ignores(`${directory}/${below.join('/')}`)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('tell where exceptions may match', () => {
    const rules = parseIgnore('**\n!src/*.ts\n!docs/a/b');
    expect(['src', 'docs', 'docs/a'].map((at) => rules.mayReinclude(at))).toEqual([true, true, true]);
    expect(['node_modules', 'docs/x', 'srcs'].map((at) => rules.mayReinclude(at))).toEqual([false, false, false]);
    expect(parseIgnore('a\n!**/keep').mayReinclude('a')).toBe(true);
  });
});
