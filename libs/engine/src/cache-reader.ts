import { treeOf, type ContextManifest } from '#context';
import type { ContentStore } from '#content';
import {
  type Descriptor,
  type Digest,
  hexOf,
  type Index,
  IndexSchema,
  type Manifest,
  ManifestSchema,
  parseReference,
} from '#oci';
import type { RegistryClient } from '#registry';
import { collect, KilnError } from '#std';
import type { BlobPlace } from './placed-blobs.ts';

export type ListedDocument =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: Index };

/** What a cache is read from. All of it fails with a KilnError that says why. */
export interface CacheReader {
  /** @param digest of one that another lists; without it, what the cache's name stands for */
  document(digest?: Digest): Promise<ListedDocument>;
  blob(descriptor: Descriptor, limitBytes: number): Promise<Buffer>;
  /** where a blob that it lists lies; undefined when it came with the build */
  place(descriptor: Descriptor): BlobPlace | undefined;
  /** whether a blob that is listed can be had */
  has(digest: Digest): boolean;
}

export function registryReader(client: RegistryClient, name: string, signal: AbortSignal): CacheReader {
  const reference = parseReference(name);
  const { registry, repository } = reference;
  return {
    document: (digest) =>
      client.document(digest === undefined ? reference : { registry, repository, digest }, {}, signal),
    blob: (descriptor, limitBytes) =>
      small(descriptor, limitBytes, () => client.fetchBlob({ registry, repository }, descriptor, signal)),
    place: (descriptor) => ({ registry, repository, descriptor }),
    has: () => true,
  };
}

const DOCUMENT_LIMIT_BYTES = 4 * 1024 * 1024;

/** A layout as the client sent it: its blobs are in the content store under their own digests. */
export function layoutReader(
  content: ContentStore,
  layout: { readonly manifest: ContextManifest; readonly top: Digest },
  signal: AbortSignal,
): CacheReader {
  const tree = treeOf(layout.manifest);
  // A digest alone gives nobody what another project has.
  const has = (digest: Digest): boolean => tree.get(`blobs/sha256/${hexOf(digest)}`)?.digest === digest;
  const blob: CacheReader['blob'] = (descriptor, limitBytes) => {
    if (!has(descriptor.digest))
      throw new KilnError('NOT_FOUND', `its blob ${descriptor.digest} is missing, or damaged`);
    return small(descriptor, limitBytes, () => content.get(descriptor.digest, signal));
  };
  return {
    async document(digest = layout.top) {
      const json: unknown = parseJson(await blob({ mediaType: '', digest, size: 0 }, DOCUMENT_LIMIT_BYTES));
      const manifest = ManifestSchema.safeParse(json);
      if (manifest.success) return { kind: 'manifest', manifest: manifest.data };
      const index = IndexSchema.safeParse(json);
      if (index.success) return { kind: 'index', index: index.data };
      throw new KilnError('INVALID_ARGUMENT', `${digest} is no manifest that can be read`);
    },
    blob,
    place: () => undefined,
    has,
  };
}

async function small(
  { size, digest }: Descriptor,
  limitBytes: number,
  open: () => ReturnType<ContentStore['get']>,
): Promise<Buffer> {
  if (size > limitBytes) throw new KilnError('LIMIT_EXCEEDED', `its blob ${digest} is longer than ${limitBytes} bytes`);
  return await collect(open(), limitBytes);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
