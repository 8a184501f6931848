import { invalid } from '../invalid.ts';
import type { EscapeToken } from '../lex/directives.ts';
import { splitBlank } from '../lex/space.ts';
import { splitWords } from '../lex/words.ts';
import type { ArgDeclaration, KeyValue } from './ast.ts';

/**
 * `NAME=value NAME=value…`, or the old `NAME rest of the line`; the first word decides.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function parseKeyValues(
  keyword: string,
  rest: string,
  escape: EscapeToken,
): { readonly pairs: readonly KeyValue[]; readonly legacy: boolean } {
  const words = splitWords(rest, escape);
  const [first] = words;
  if (first === undefined)
    throw invalid(`${keyword} requires at least one argument`, { hint: `write ${keyword} name=value` });
  if (!first.includes('=')) {
    const [key = '', value] = splitBlank(rest, 2);
    if (value === undefined)
      throw invalid(`${keyword} must have two arguments`, { hint: `write ${keyword} ${key}=value` });
    return { pairs: [named(keyword, key, value)], legacy: true };
  }
  const pairs = words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === -1) {
      throw invalid(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`, {
        hint: 'put values with blanks in quotes',
      });
    }
    return named(keyword, word.slice(0, equals), word.slice(equals + 1));
  });
  return { pairs, legacy: false };
}

function named(keyword: string, key: string, value: string): KeyValue {
  if (key === '') throw invalid(`${keyword} names can not be blank`, { hint: 'write a name before =' });
  return { key, value };
}

/** @throws KilnError DOCKERFILE_INVALID */
export function parseArgDeclarations(rest: string, escape: EscapeToken): readonly ArgDeclaration[] {
  const words = splitWords(rest, escape);
  if (words.length === 0)
    throw invalid('ARG requires at least one argument', { hint: 'write ARG name or ARG name=default' });
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === 0) throw invalid('ARG names can not be blank', { hint: 'write a name before =' });
    return equals === -1
      ? { name: word, value: undefined }
      : { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}
