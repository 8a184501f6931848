/** Whether all of `text` is as `pattern` says: `*` is any text, `?` one character, all else itself. */
export function globMatches(pattern: string, text: string): boolean {
  let [p, t] = [0, 0];
  // Where to go on when the last star takes one character more.
  let star: { p: number; t: number } | undefined;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = { p: p + 1, t };
      p++;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star !== undefined) {
      star.t++;
      p = star.p;
      t = star.t;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
