import { distinctPlatforms, formatPlatform, normalisePlatform, parseKnownPlatform, parseShortPlatform } from '#oci';

/**
 * Platforms as people write them, for a request: in full, normalised, each once. `local` is `own`; one word alone is a system,
 * or an architecture of Linux.
 * @throws KilnError INVALID_ARGUMENT
 */
export function readPlatforms(
  words: readonly string[],
  own: { readonly os: string; readonly architecture: string },
): readonly string[] {
  const { architecture } = normalisePlatform(own);
  const read = words.map((word) =>
    word.toLowerCase() === 'local' ? own : parseShortPlatform(word, { os: 'linux', architecture }),
  );
  return distinctPlatforms(read).map((each) => formatPlatform(parseKnownPlatform(formatPlatform(each))));
}
