import { interpolate, type Lookup } from './interpolate.ts';

const NAME = /[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*/y;
const QUOTED = /"(?:[^"\\]|\\[^])*"|'[^']*'/y;
const REST = /[^\n]*/y;

/**
 * The variables of a `.env` file; later lines see earlier ones. A name alone is that of the environment.
 * @param outside what the environment has: it wins where lines refer to it
 */
export function parseDotEnv(text: string, outside: Lookup): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const lookup: Lookup = (name) => outside(name) ?? found.get(name);
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at += match[0].length;
    return match;
  };
  for (; at < text.length; at += 1) {
    const name = take(NAME)?.[1];
    const sign = text[at];
    if (name !== undefined && (sign === '=' || sign === ':')) {
      at += 1;
      take(/[ \t]*/y);
      // Quotes that begin a value may go on over lines; within one they are characters.
      const value = (take(QUOTED)?.[0] ?? '') + (take(REST)?.[0] ?? '');
      found.set(name, read(value.trim(), lookup));
    } else if (name !== undefined && /^\s*(?:#|$)/.test(take(REST)?.[0] ?? '')) {
      const value = outside(name);
      if (value !== undefined) found.set(name, value);
    } else take(REST);
  }
  return found;
}

function read(value: string, lookup: Lookup): string {
  const single = /^'([^']*)'/.exec(value)?.[1];
  if (single !== undefined) return single;
  const double = /^"((?:[^"\\]|\\[^])*)"/.exec(value)?.[1];
  if (double === undefined) return interpolate(value.replace(/\s+#.*$/s, ''), lookup);
  const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
  return interpolate(
    double.replaceAll(/\\([^$])/g, (_, character: string) => escapes[character] ?? character),
    lookup,
  );
}
