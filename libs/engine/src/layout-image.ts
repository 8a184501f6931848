import type { ContentStore, Tree } from '#content';
import { choosePlatform } from '#registry';
import { type Digest, hexOf, ImageConfigSchema, IndexSchema, ManifestSchema, type Platform } from '#oci';
import { collect, KilnError, messageOf } from '#std';
import type { PinnedImage } from './images.ts';
import type { SentContent } from './sent-content.ts';

/** How an image is called whose bytes came with the build. */
export const OF_NO_REGISTRY = 'oci-layout/';

export interface LayoutQuery {
  /** name of the context, for people */
  readonly context: string;
  /** of an index or manifest */
  readonly digest: Digest;
  readonly platform: Platform;
  /** the layout as the client sent it: its blobs are in the content store under their own digests */
  readonly tree: Tree;
  readonly content: ContentStore;
  readonly sent: Pick<SentContent, 'bring'>;
}

const JSON_LIMIT_BYTES = 16 * 1024 * 1024;
/** Indexes may name indexes. */
const MAX_DEPTH = 4;

/**
 * An image of an OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md).
 * @throws KilnError IMAGE_NOT_FOUND for what is not whole
 */
export async function layoutImage(query: LayoutQuery, signal: AbortSignal): Promise<PinnedImage> {
  const { context, platform } = query;
  let { digest } = query;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const json = await read(query, digest, signal);
    const index = IndexSchema.safeParse(json);
    if (index.success && !ManifestSchema.safeParse(json).success) {
      ({ digest } = choosePlatform(index.data, platform, `the layout ${context}`));
      continue;
    }
    const manifest = ManifestSchema.safeParse(json);
    if (!manifest.success) throw broken(context, `${digest} is no manifest that can be read`);
    const config = ImageConfigSchema.safeParse(await read(query, manifest.data.config.digest, signal));
    if (!config.success) throw broken(context, `the image’s config ${manifest.data.config.digest} cannot be read`);
    for (const layer of manifest.data.layers) find(query, layer.digest);
    await query.sent.bring(manifest.data.layers.map((layer) => layer.digest));
    return { digest, manifest: manifest.data, config: config.data, standIn: false };
  }
  throw broken(context, 'its indexes name indexes without end');
}

/** Only what is in this very layout: a digest alone gives nobody what another project has. */
function find({ context, tree }: LayoutQuery, digest: Digest): void {
  if (tree.get(`blobs/sha256/${hexOf(digest)}`)?.digest !== digest) {
    throw broken(context, `the blob ${digest} is missing, or damaged`);
  }
}

async function read(query: LayoutQuery, digest: Digest, signal: AbortSignal): Promise<unknown> {
  find(query, digest);
  const bytes = await collect(query.content.get(digest, signal), JSON_LIMIT_BYTES);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw broken(query.context, `${digest} is no JSON: ${messageOf(cause)}`);
  }
}

function broken(context: string, why: string): KilnError {
  return new KilnError('IMAGE_NOT_FOUND', `the layout of the context ${context} cannot be used: ${why}`, {
    hint: 'write the layout anew, or name another image in it: oci-layout://path:tag',
  });
}
