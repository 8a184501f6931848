import type { EscapeToken } from './directives.ts';
import { isSpace } from './space.ts';

/** Words between blanks; quotes and escapes group and stay in the word, for the expansion to take away. */
export function splitWords(text: string, escape: EscapeToken): string[] {
  const words: string[] = [];
  let word = '';
  let begun = false;
  let quote = '';
  const chars = [...text];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? '';
    if (quote === '' && isSpace(char)) {
      if (begun) words.push(word);
      word = '';
      begun = false;
      continue;
    }
    if (char === escape && quote !== "'") {
      at += 1;
      const next = chars[at];
      // An escape token at the very end stands for nothing.
      if (next === undefined) break;
      word += char + next;
      begun = true;
      continue;
    }
    if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    word += char;
    begun = true;
  }
  if (begun) words.push(word);
  return words;
}
