import type { EscapeToken } from './directives.ts';
import { isSpace, splitBlank, trim } from './space.ts';

/** A logical line, taken apart as far as all instructions have in common. */
export interface CommandLine {
  /** as it was written */
  readonly keyword: string;
  /** the leading words that begin with `--`, quotes and escapes removed */
  readonly flags: readonly string[];
  readonly rest: string;
}

export function splitCommand(line: string, escape: EscapeToken): CommandLine {
  const [keyword = '', tail = ''] = splitBlank(trim(line), 2);
  const { flags, rest } = splitFlags(tail, escape);
  return { keyword, flags, rest: trim(rest) };
}

function splitFlags(text: string, escape: EscapeToken): { flags: readonly string[]; rest: string } {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charAt(at))) at += 1;
    if (!text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    const { word, end } = readFlag(text, at, escape);
    if (word === '--') return { flags, rest: text.slice(end) };
    flags.push(word);
    at = end;
  }
}

/** One word: quotes group and are dropped, an escaped character stands for itself. */
function readFlag(text: string, start: number, escape: EscapeToken): { word: string; end: number } {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === escape) {
      at += 1;
      word += text.charAt(at);
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === '"' || char === "'") quote = char;
    else if (isSpace(char)) break;
    else word += char;
  }
  return { word, end: Math.min(at, text.length) };
}
