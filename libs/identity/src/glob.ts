/**
 * Whether all of `text` is as `pattern` says: `*` is any text, `?` one character, all else itself. All ways to read the pattern are
 * followed at once, a bit for each place in it, so that none takes long.
 */
export function globMatches(pattern: string, text: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === text;
  const { length, stars, anything, places } = readPattern(pattern.replaceAll(/\*+/g, '*'));
  const skipping = (at: bigint): bigint => at | ((at & stars) << 1n);
  let at = skipping(1n);
  for (let index = 0; index < text.length && at !== 0n; index++) {
    const taking = anything | (places.get(text.charCodeAt(index)) ?? 0n);
    at = skipping(((at & taking) << 1n) | (at & stars));
  }
  return at >> BigInt(length) === 1n;
}

interface Read {
  readonly length: number;
  readonly stars: bigint;
  /** where one character of any kind is */
  readonly anything: bigint;
  /** where a character itself is, by its code */
  readonly places: ReadonlyMap<number, bigint>;
}

function readPattern(pattern: string): Read {
  const places = new Map<number, bigint>();
  let [stars, anything, place] = [0n, 0n, 1n];
  for (let index = 0; index < pattern.length; index++, place <<= 1n) {
    const code = pattern.charCodeAt(index);
    if (pattern[index] === '*') stars |= place;
    else if (pattern[index] === '?') anything |= place;
    else places.set(code, (places.get(code) ?? 0n) | place);
  }
  return { length: pattern.length, stars, anything, places };
}
