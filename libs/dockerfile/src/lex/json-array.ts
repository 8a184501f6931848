import { invalid } from '../invalid.ts';
import { trimStart } from './space.ts';

/**
 * The strings of a JSON array, or undefined for what is no JSON array (then it is the shell form).
 * @throws KilnError DOCKERFILE_INVALID for an array of anything but strings
 */
export function parseJsonArray(text: string): readonly string[] | undefined {
  const start = trimStart(text);
  if (!start.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(start);
  } catch {
    // Not JSON, which is allowed: `RUN [ -f x ] && make` is a shell command.
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const strings: string[] = [];
  for (const item of value as readonly unknown[]) {
    if (typeof item !== 'string')
      throw invalid('when using JSON array syntax, arrays must be comprised of strings only', {
        hint: `write ${JSON.stringify(item)} in quotes`,
      });
    // Half of a surrogate pair, written as an escape, becomes U+FFFD, as it would in any file.
    strings.push(item.toWellFormed());
  }
  return strings;
}
