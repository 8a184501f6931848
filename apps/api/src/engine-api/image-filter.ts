import { familiarReference, parseReference } from '#oci';
import type { ImageView } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { parseJson } from './engine-json.ts';

export interface ImageFilter {
  readonly dangling: boolean | undefined;
  takes(image: ImageView): boolean;
}

/** As older clients say it, a list; newer ones a map. */
const Filters = z.record(
  z.string(),
  z.union([z.record(z.string(), z.boolean()).transform(Object.keys), z.array(z.string())]),
);

/**
 * `--filter` of `docker images`, and the name that it may be given.
 * @param name the parameter that clients before 1.25 used
 * @throws KilnError INVALID_ARGUMENT for one that a farm cannot answer
 */
export function imageFilter(json: string | undefined, name: string | undefined): ImageFilter {
  const { reference = [], dangling = [], ...others } = json === undefined ? {} : parseJson('filters', Filters, json);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new KilnError('INVALID_ARGUMENT', `invalid filter '${unknown}'`, {
      hint: 'reference and dangling are known',
    });
  }
  const patterns = [...reference, ...(name === undefined || name === '' ? [] : [name])];
  const unnamed = dangling.length === 0 ? undefined : ['1', 'true'].includes(dangling[0] ?? '');
  return {
    dangling: unnamed,
    takes: ({ names }) =>
      (unnamed === undefined || (names.length === 0) === unnamed) &&
      (patterns.length === 0 || names.some((full) => patterns.some((pattern) => matches(pattern, full)))),
  };
}

/** A shell pattern, of which a star stops at a slash. Linear but for the last star, so that no pattern takes long. */
export function matchesPattern(pattern: string, text: string): boolean {
  let [at, seen] = [0, 0];
  let star: { readonly at: number; readonly text: number } | undefined;
  while (seen < text.length) {
    const wanted = pattern[at];
    const found = text[seen];
    if (wanted === '*') {
      star = { at, text: seen };
      at += 1;
    } else if (wanted === found || (wanted === '?' && found !== '/')) {
      at += 1;
      seen += 1;
    } else if (star !== undefined && text[star.text] !== '/') {
      star = { at: star.at, text: star.text + 1 };
      at = star.at + 1;
      seen = star.text;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

/** With its tag or without, in full or as people write it. */
function matches(pattern: string, full: string): boolean {
  const { tag: _, ...repository } = parseReference(full);
  const named = [full, familiarReference(parseReference(full))];
  const bare = [`${repository.registry}/${repository.repository}`, familiarReference(repository)];
  return [...named, ...bare].some((text) => matchesPattern(pattern, text));
}
