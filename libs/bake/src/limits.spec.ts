import { isKilnError } from '#std';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bakery, plan, valueOf } from './bakery.fixture.ts';
import { matches } from './match.ts';

const doubling = (first: string, next: (before: string) => string): string =>
  [`v0 = ${first}`, ...Array.from({ length: 40 }, (_, n) => `v${n + 1} = ${next(`v${n}`)}`)].join('\n');
const tooMuch = /^docker-bake\.hcl:\d+:\d+: .*asks for too much/;
const nested = /^docker-bake\.hcl:\d+:\d+: .*(?:nested more than|more than 200|too much)/;

describe('what a bake file may ask for has an end', () => {
  it.each([
    ['lists that double', doubling('[0]', (v) => `concat(${v}, ${v})`)],
    ['lists of lists', doubling('[0]', (v) => `[${v}, ${v}]`)],
    ['objects', doubling('{ a = 0 }', (v) => `{ a = ${v}, b = ${v} }`)],
    ['strings', doubling('"xxxxxxxx"', (v) => `"\${${v}}\${${v}}"`)],
    ['join', 'x = join(format("%9999s", ""), range(90000))'],
    ['replace', 'x = replace(format("%9999s", ""), " ", format("%9999s", ""))'],
    ['indent', 'x = indent(90000, join("\\n", range(9000)))'],
    ['format', `x = format("${'%9999[1]s'.repeat(5000)}", "")`],
    ['formatlist', 'x = formatlist("%9999s", range(90000))'],
    ['regex_replace', 'x = regex_replace(format("%9999s", ""), " ", format("%9999s", ""))'],
    ['regexall', 'x = regexall("(?=(.*))", format("%9999s", ""))'],
    ['contains in a loop', 'l = range(90000)\nx = [for e in l : contains(l, e)]'],
    ['try in a loop', 'x = [for e in range(90000) : can([for f in range(90000) : f])]'],
    ['a pattern', 'x = try(regex("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"))'],
  ])('%s', (_, text) => {
    expect(() => bakery(`${text}\n`)).toThrow(tooMuch);
  });

  it.each([
    ['operators', `x = ${'1 + '.repeat(100_000)}1`],
    ['names', `x = a${'.b'.repeat(100_000)}`],
    ['parentheses', `x = ${'('.repeat(100_000)}`],
    ['lists', `x = ${'['.repeat(100_000)}`],
    ['conditions', `x = ${'true ? 1 : '.repeat(100_000)}1`],
    ['templates', `x = ${'"${'.repeat(100_000)}`],
    ['directives', `x = "${'%{ if true }'.repeat(5_000)}${'%{ endif }'.repeat(5_000)}"`],
    ['jsondecode', `x = jsondecode("${'['.repeat(5_000)}${']'.repeat(5_000)}")`],
    ['values', ['v0 = []', ...Array.from({ length: 5_000 }, (_, n) => `v${n + 1} = [v${n}]`)].join('\n')],
    ['variables', Array.from({ length: 5_000 }, (_, n) => `v${n} = v${n + 1}`).join('\n')],
  ])('as do %s in each other', (_, text) => {
    expect(() => bakery(`${text}\n`)).toThrow(nested);
  });

  it('targets and groups lead to each other in short chains, however often they meet', () => {
    const levels = Array.from({ length: 60 }, (_, n) => n);
    const diamonds = levels.map((n) =>
      ['t', 'u'].map((t) => `target "${t}${n}" { inherits = ["t${n + 1}", "u${n + 1}"] }`).join('\n'),
    );
    const { target } = plan(
      `${diamonds.join('\n')}\ntarget "t60" { tags = ["x"] }\ntarget "u60" {}`,
      {},
      { targets: ['t0'] },
    );
    expect(target['t0']).toMatchObject({ tags: ['x'] });
    const chain = (line: (n: number) => string): string => Array.from({ length: 5_000 }, (_, n) => line(n)).join('\n');
    for (const text of [
      chain((n) => `target "t${n}" { inherits = ["t${n + 1}"] }`),
      chain((n) => `target "t${n}" { contexts = { a = "target:t${n + 1}" } }`),
      chain((n) => `group "t${n}" { targets = ["t${n + 1}"] }`),
    ])
      expect(() => plan(text, {}, { targets: ['t0'] })).toThrow('too much');
  });

  it('patterns of names with many stars are no work', () => {
    expect(matches(`${'a*'.repeat(1_000)}b`, 'a'.repeat(5_000))).toBe(false);
    expect([matches('a*c?[0-9]', 'abc-1'), matches('[^a]*', 'ab'), matches('*', ''), matches('[', '[')]).toEqual([
      ...[true, false, true, true],
    ]);
  });

  it('long lines and strings are read at once', () => {
    const long = 'x'.repeat(4 * 1024 * 1024);
    expect(() => bakery([{ name: 'b.json', text: JSON.stringify({ V: `${long}\\n"` }) }])).not.toThrow();
    expect(() => bakery(`x = [${'"a", '.repeat(200_000)}]`)).not.toThrow();
    expect(valueOf('length(setproduct(range(90000), range(90000), []))')).toBe(0);
  });

  it('nothing else than an error with a code comes of anything', () => {
    const atom = fc.constantFrom('v', '1', '"a"', '"${v}-${w}"', '[]', '[1, v]', '{ a = v }', 'null', 'constructor');
    const { expression } = fc.letrec<{ expression: string }>((tie) => {
      const inner = tie('expression');
      const name = fc.constantFrom(
        ...['concat', 'format', 'regexall', 'setproduct', 'range', 'flatten', 'merge', 'jsonencode', 'replace', 'try'],
        ...['toString', 'join', 'zipmap', 'pow', 'chunklist', 'substr', 'cidrsubnet', 'formatdate', 'timeadd', 'slice'],
      );
      return {
        expression: fc.oneof(
          { maxDepth: 5 },
          atom,
          fc.tuple(name, fc.array(inner, { maxLength: 3 })).map(([f, args]) => `${f}(${args.join(', ')})`),
          fc.tuple(inner, fc.constantFrom('+', '/', '==', '&&'), inner).map((parts) => parts.join(' ')),
          fc.tuple(inner, inner).map(([of, each]) => `[for v in ${of} : ${each}]`),
          fc.tuple(inner, inner).map(([of, key]) => `{ for v in ${of} : ${key} => v... }`),
          fc.tuple(inner, inner).map(([of, key]) => `(${of})[${key}]`),
          inner.map((of) => `(${of})[*].a`),
        ),
      };
    });
    fc.assert(
      fc.property(expression, expression, (v, w) => {
        try {
          plan(`v = ${v}\nw = ${w}\ntarget "default" { args = { a = v } }\n`);
        } catch (thrown) {
          if (!isKilnError(thrown, 'INVALID_ARGUMENT')) throw thrown;
        }
      }),
      { numRuns: 300 },
    );
  });
});
