import { type ContentStore } from '#content';
import { type ContextManifest, decodeManifest, encodeManifest } from '#context';
import { type Descriptor, type Digest, digestOf } from '#oci';
import { canonicalJson, collect, type Json, single } from '#std';
import type { BlobGrants } from './job.ts';
import type { SourceMemory } from './source-memory.ts';

const MANIFEST_LIMIT_BYTES = 1024 ** 3;
const MANIFEST_MEDIA_TYPE = 'application/vnd.kiln.context.v1';
const FILE_MEDIA_TYPE = 'application/octet-stream';

export interface FetchedTreesOptions {
  readonly content: ContentStore;
  readonly memory: SourceMemory;
  readonly grants: BlobGrants;
}

/** Trees of files that were fetched: made once in a project, as long as all their blobs are there. */
export class FetchedTrees {
  readonly #options: FetchedTreesOptions;

  constructor(options: FetchedTreesOptions) {
    this.#options = options;
  }

  /** @param what says all that the files depend on */
  async get(
    what: Readonly<Record<string, Json | undefined>>,
    make: () => Promise<ContextManifest>,
    signal: AbortSignal,
  ): Promise<ContextManifest> {
    const key = digestOf(canonicalJson({ v: 1, ...what }));
    const known = await this.#known(key, signal);
    if (known !== undefined) return known;
    const manifest = await make();
    await this.#keep(key, manifest, signal);
    return manifest;
  }

  async #known(key: Digest, signal: AbortSignal): Promise<ContextManifest | undefined> {
    const { content, memory } = this.#options;
    const digest = await memory.tree(key);
    if (digest === null || (await content.findMissing(new Set([digest]), signal)).size > 0) return undefined;
    const manifest = decodeManifest(await collect(content.get(digest, signal), MANIFEST_LIMIT_BYTES));
    const blobs = new Set(manifest.entries.flatMap((entry) => entry.digest ?? []));
    return (await content.findMissing(blobs, signal)).size === 0 ? manifest : undefined;
  }

  async #keep(key: Digest, manifest: ContextManifest, signal: AbortSignal): Promise<void> {
    const { content, memory, grants } = this.#options;
    const bytes = encodeManifest(manifest);
    const digest = digestOf(bytes);
    const { sizeBytes: size } = await content.put(single(bytes), digest, signal);
    const files = manifest.entries.flatMap((entry): Descriptor[] =>
      entry.digest === undefined ? [] : [{ mediaType: FILE_MEDIA_TYPE, digest: entry.digest, size: entry.size ?? 0 }],
    );
    await grants.keep([{ mediaType: MANIFEST_MEDIA_TYPE, digest, size }, ...files], signal);
    await memory.keepTree(key, digest);
  }
}
