/** Further apart than this, it was meant differently. */
const MAX_DISTANCE = 2;
/** Nobody mistypes longer words by so little that it would help. */
const MAX_LENGTH = 64;

/** ` (did you mean X?)` for the option nearest to `word`, or nothing. */
export function didYouMean(word: string, options: readonly string[], caseSensitive = true): string {
  const fold = (text: string): string => (caseSensitive ? text : text.toLowerCase());
  if (word.length > MAX_LENGTH) return '';
  let best: string | undefined;
  let least = MAX_DISTANCE + 1;
  for (const option of options) {
    const distance = editDistance(fold(word), fold(option), MAX_DISTANCE + 1);
    if (distance === 0) return '';
    // RNU is as far from ENV as from RUN; who mistypes rarely mistypes the first letter.
    const nearer =
      distance === least && best !== undefined && fold(best)[0] !== fold(word)[0] && fold(option)[0] === fold(word)[0];
    if (distance < least || nearer) [best, least] = [option, distance];
  }
  if (best === undefined) return '';
  return ` (did you mean ${!caseSensitive && word === word.toLowerCase() ? best.toLowerCase() : best}?)`;
}

/** Levenshtein distance, or `bound` where it is not below. */
function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) >= bound) return bound;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = a.charAt(i - 1) === b.charAt(j - 1) ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + change));
    }
    if (Math.min(...next) >= bound) return bound;
    row = next;
  }
  return row[b.length] ?? bound;
}
