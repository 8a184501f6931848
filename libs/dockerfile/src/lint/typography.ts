import type { From, Instruction } from '../parse/ast.ts';
import type { Findings } from './findings.ts';
import type { RuleName } from './rules.ts';
import { argumentsOf, shellCommands, unquoted } from './shell-text.ts';

/** Typographic single and double quotes, where a word or a value begins: `don’t` has none. */
const quote = /(?:^|[\s=[(,:])([\u2018-\u201f])/;
/** A dash or a minus sign in the place of hyphens: `–from=build`. */
const dash = /^[\u2010-\u2015\u2212]+-?([A-Za-z][\w-]*)/;
const invisible = /[\u00a0\u00ad\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]/;

const names: Readonly<Record<string, string>> = {
  '\u00a0': 'a non-breaking space',
  '\u200b': 'a space of no width',
  '\ufeff': 'a byte order mark',
};
/** Their arguments are meant to be read by people. */
const speaking = new Set(['echo', 'printf']);
/** Their values are. */
const prose = new Set<string>(['env', 'label', 'maintainer', 'arg']);
const shells = new Set<string>(['run', 'cmd', 'entrypoint', 'healthcheck']);

export interface Typo {
  readonly rule: RuleName;
  readonly message: string;
}

/** Characters that word processors and web pages make of quotes, hyphens and blanks; none within straight quotes. */
export function typosOf(text: string, kind: string): readonly Typo[] {
  // Most text has none of them at all.
  if (!/[^\x00-\x7f]/.test(text)) return [];
  const bare = unquoted(text, shells.has(kind));
  const typos: Typo[] = [];
  const quoted = quote.exec(bare)?.[1];
  if (quoted !== undefined) {
    const straight = quoted <= '\u201b' ? "'" : '"';
    const message = `${quoted} (${codePoint(quoted)}) does not quote, it is a letter like all others: write ${straight}`;
    typos.push({ rule: 'TypographicQuote', message });
  }
  const flag = prose.has(kind) ? undefined : dashedWord(text, bare, kind);
  if (flag !== undefined) {
    const [written, name] = flag;
    const message = `${written} begins with a dash (${codePoint(written)}) and is no flag: write ${name.length === 1 ? '-' : '--'}${name}`;
    typos.push({ rule: 'TypographicDash', message });
  }
  const blank = invisible.exec(bare)?.[0];
  if (blank !== undefined) {
    const name = names[blank] ?? 'a blank that is no ordinary one';
    const mend = /[\u00ad\u200b\u2060\ufeff]/.test(blank) ? 'take it out' : 'write an ordinary space';
    typos.push({ rule: 'InvisibleCharacter', message: `there is ${name} (${codePoint(blank)}): ${mend}` });
  }
  return typos;
}

export function lintTypography(node: From | Instruction, findings: Findings): void {
  for (const { rule, message } of typosOf(node.text, node.kind)) findings.report(rule, message, node);
}

function dashedWord(text: string, bare: string, kind: string): readonly [written: string, name: string] | undefined {
  const words = shells.has(kind)
    ? shellCommands(text).flatMap((command) => {
        const [program, ...args] = argumentsOf(command);
        // The instruction itself is the first word of its text.
        const speaks = [program, args[0]].some((word) => word !== undefined && speaking.has(word.text));
        return speaks ? [] : command.words.flatMap((word) => (word.quoted ? [] : [word.text]));
      })
    : bare.split(/\s+/);
  for (const word of words) {
    const match = dash.exec(word);
    if (match?.[1] !== undefined) return [match[0], match[1]];
  }
  return undefined;
}

function codePoint(char: string): string {
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
