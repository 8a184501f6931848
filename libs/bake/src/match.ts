/**
 * Whether a name fits a pattern of `*`, `?` and `[…]`, as Go's path.Match has them for names without a slash. A star takes as
 * little as it can and is only gone back to while it is the last: never longer than pattern times name.
 */
export function matches(pattern: string, name: string): boolean {
  const parts = partsOf(pattern);
  if (parts === undefined) return false;
  const letters = [...name];
  let [part, at] = [0, 0];
  let star: { readonly part: number; at: number } | undefined;
  while (at < letters.length) {
    const fits = parts[part];
    if (fits === '*') star = { part: part++, at };
    else if (fits?.(letters[at] ?? '') === true) [part, at] = [part + 1, at + 1];
    else if (star === undefined || letters[star.at] === '/') return false;
    else [part, at] = [star.part + 1, (star.at += 1)];
  }
  return parts.slice(part).every((each) => each === '*');
}

type Part = '*' | ((letter: string) => boolean);

/** Undefined for what fits nothing: a bracket that nothing closes, a range from back to front. */
function partsOf(pattern: string): readonly Part[] | undefined {
  const parts: Part[] = [];
  for (const [part, not, set] of pattern.matchAll(/\*+|\?|\[(\^?)([^\]]+)\]|[^]/gu)) {
    if (part.startsWith('*')) parts.push('*');
    else if (part === '?') parts.push((letter) => letter !== '/');
    else if (set !== undefined) {
      try {
        const fits = new RegExp(`^[${not ?? ''}${set.replaceAll(/[\\\][^]/g, '\\$&')}]$`, 'u');
        parts.push((letter) => fits.test(letter));
      } catch {
        return undefined;
      }
    } else parts.push((letter) => letter === part);
  }
  return parts;
}

export const isPattern = (text: string): boolean => /[*?[\]]/.test(text);
