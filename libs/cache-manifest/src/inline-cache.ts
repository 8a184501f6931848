import { type Digest, type Layer } from '#oci';
import { messageOf, KilnError } from '#std';
import { z } from 'zod';
import { BUILDKIT_LIMIT_BYTES, recordsOf } from './buildkit-config.ts';
import {
  type CacheDocument,
  type CacheEntry,
  decodeDocument,
  DOCUMENT_LIMIT_BYTES,
  encodeDocument,
  layersFrom,
  makeDocument,
} from './cache-document.ts';

const BUILDKIT_MEMBER = 'moby.buildkit.cache.v0';
const KILN_MEMBER = 'kiln.cache.v1';

/**
 * What an image's config has so that the image is its own cache: of all results those that the image's layers make up. The
 * same for the same results, whoever built them. Undefined where there are none.
 */
export function inlineCache(
  entries: readonly CacheEntry[],
  layers: readonly Layer[],
): { readonly members: Readonly<Record<string, string>>; readonly results: number } | undefined {
  const positions = new Map(layers.map(({ descriptor }, at): [Digest, number] => [descriptor.digest, at]));
  const inside = entries
    .filter(({ result }) => result.layers.every(({ descriptor }) => positions.has(descriptor.digest)))
    .map((entry) => ({ ...entry, keys: entry.keys.filter(({ kind }) => kind === 'definition') }))
    .filter(({ keys }) => keys.length > 0);
  if (inside.length === 0) return undefined;
  const document = makeDocument(inside, { producers: false });
  const place = (top: number): ReturnType<Parameters<typeof recordsOf>[1]> => {
    const chain = (layersFrom(document, top) ?? []).flatMap(({ descriptor }) => positions.get(descriptor.digest) ?? []);
    // In the order of the image, the last of them tells the rest.
    return chain.every((position, at) => position === at) ? { layers: chain.slice(-1) } : { chain };
  };
  const records = `[${recordsOf(document.results, place, BUILDKIT_LIMIT_BYTES).join(',')}]`;
  const members = {
    [BUILDKIT_MEMBER]: Buffer.from(records).toString('base64'),
    [KILN_MEMBER]: encodeDocument(document).toString('base64'),
  };
  return { members, results: inside.length };
}

const Members = z.object({
  [BUILDKIT_MEMBER]: z.base64().nullish(),
  [KILN_MEMBER]: z.base64().max(DOCUMENT_LIMIT_BYTES).optional(),
});

/**
 * What an image's config says of its cache: Kiln's document, that BuildKit wrote one, or nothing.
 * @throws KilnError INVALID_ARGUMENT
 */
export function readInlineCache(config: Uint8Array): CacheDocument | 'buildkit' | undefined {
  let members: z.infer<typeof Members>;
  try {
    members = Members.parse(JSON.parse(Buffer.from(config).toString('utf8')));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? 'it is malformed' : messageOf(cause);
    throw new KilnError('INVALID_ARGUMENT', `not a cache in an image that can be read: ${why}`, { cause });
  }
  const kiln = members[KILN_MEMBER];
  if (kiln !== undefined) return decodeDocument(Buffer.from(kiln, 'base64'));
  return members[BUILDKIT_MEMBER] ? 'buildkit' : undefined;
}
