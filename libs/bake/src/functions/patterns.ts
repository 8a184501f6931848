import { systemCode } from '#std';
import { createContext, Script } from 'node:vm';
import { checked, MAX_SIZE, tooMuch } from '../hcl/size.ts';
import type { Value } from '../hcl/value.ts';
import { define, type Functions } from './define.ts';

export const patterns: Functions = {
  regex: define(2, 2, (args) => {
    const [found] = matchesOf(args.text(0), args.text(1), false);
    if (found === undefined) throw new TypeError('the pattern does not match');
    return valueOf(found);
  }),
  regexall: define(2, 2, (args) => matchesOf(args.text(0), args.text(1), true).map(valueOf)),
  regex_replace: define(3, 3, (args) => replaced(args.text(0), args.text(1), args.text(2))),
};

const TIME_MS = 1_000;

interface Sandbox {
  pattern: RegExp;
  text: string;
  all: boolean;
  most: number;
}

interface Match {
  readonly at: number;
  readonly all: readonly (string | undefined)[];
  readonly groups: Readonly<Record<string, string | undefined>> | undefined;
}

/** Runs where it can be ended: patterns that go back and forth would take for ever. Nothing of the file is code in it. */
const script = new Script(`
  found = [];
  for (const match of text.matchAll(pattern)) {
    found.push({ at: match.index, all: [...match], groups: match.groups });
    for (const each of match) most -= 1 + (each === undefined ? 0 : each.length);
    if (most < 0 || !all) break;
  }
`);
const sandbox: Sandbox & { found: readonly Match[] } = { pattern: /x/g, text: '', all: false, most: 0, found: [] };
const context = createContext(sandbox);

/** @throws KilnError INVALID_ARGUMENT for a pattern that takes too long; SyntaxError for what is none */
function matchesOf(pattern: string, text: string, all: boolean): readonly Match[] {
  Object.assign(sandbox, { pattern: patternOf(pattern), text, all, most: MAX_SIZE, found: [] });
  try {
    script.runInContext(context, { timeout: TIME_MS });
  } catch (thrown) {
    if (systemCode(thrown) === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw tooMuch(`the pattern ${JSON.stringify(pattern.slice(0, 100))} takes more than a second`);
    throw thrown;
  }
  if (sandbox.most < 0) checked(Infinity);
  return sandbox.found;
}

/** Patterns of Go, as far as JavaScript has them: what differs is named groups and flags. */
function patternOf(pattern: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const source = pattern.slice(flags?.[0].length ?? 0).replaceAll('(?P<', '(?<');
  return new RegExp(source, `gu${flags?.[1] ?? ''}`);
}

/** Without groups the text; else the groups, by their names if they have some. */
function valueOf({ all, groups }: Match): Value {
  if (groups !== undefined) return new Map(Object.entries(groups).map(([name, each]) => [name, each ?? null]));
  return all.length === 1 ? (all[0] ?? '') : all.slice(1).map((each) => each ?? null);
}

/** `$1`, `${1}`, `$name` and `${name}` stand for groups, as in Go; one that there is not is empty. */
function replaced(text: string, pattern: string, replacement: string): string {
  const pieces = replacement.split(/\$(?:\{(\w+)\}|(\w+)|(\$))/);
  let result = '';
  let from = 0;
  for (const { at, all, groups } of matchesOf(pattern, text, true)) {
    result += text.slice(from, at);
    for (let piece = 0; piece < pieces.length; piece += 4) {
      const [plain = '', braced, bare, dollar] = pieces.slice(piece, piece + 4);
      const name = braced ?? bare ?? '';
      const group = /^\d+$/.test(name)
        ? all[Number(name)]
        : groups !== undefined && Object.hasOwn(groups, name)
          ? groups[name]
          : undefined;
      result += plain + (dollar ?? group ?? '');
      checked(result.length);
    }
    from = at + (all[0] ?? '').length;
  }
  result += text.slice(from);
  checked(result.length);
  return result;
}
