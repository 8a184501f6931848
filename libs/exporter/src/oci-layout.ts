import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Descriptor, formatReference, hexOf, mediaType, parseReference } from '#oci';
import { type Bytes, canonicalJson, type Json, single } from '#std';
import { pack, type Pack } from 'tar-stream';
import { type Assembled, imagesOf, indexEntry, topOf } from './assemble-index.ts';

export interface OciLayoutOptions {
  readonly image: Assembled;
  /** names as in `--tag`, which the layout's index gives the image; none is fine */
  readonly names: readonly string[];
  readonly openLayer: (descriptor: Descriptor) => Bytes;
  readonly signal?: AbortSignal | undefined;
}

interface File {
  readonly name: string;
  readonly size: number;
  readonly open: () => Bytes;
}

/**
 * A tar of an OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md): the same bytes for
 * the same image and names. One blob at a time is open.
 * @throws KilnError INVALID_ARGUMENT for a malformed name, at the first read; what `openLayer` throws
 */
export async function* writeOciLayout({ image, names, openLayer, signal }: OciLayoutOptions): Bytes {
  signal?.throwIfAborted();
  const index = Buffer.from(canonicalJson(indexOf(image, names)));
  const blobs = blobsOf(image, openLayer).sort((a, b) => (a.name < b.name ? -1 : 1));
  const layout = Buffer.from(canonicalJson({ imageLayoutVersion: '1.0.0' }));
  const archive = pack();
  let failure: unknown;
  const writing = fill(archive, [...blobs, file('index.json', index), file('oci-layout', layout)], signal).catch(
    (thrown: unknown) => {
      failure ??= thrown;
      archive.destroy(thrown instanceof Error ? thrown : new Error('the archive was given up'));
    },
  );
  try {
    for await (const chunk of archive) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } catch (thrown) {
    signal?.throwIfAborted();
    throw failure ?? thrown;
  } finally {
    archive.destroy();
    await writing;
  }
}

const file = (name: string, bytes: Uint8Array): File => ({ name, size: bytes.byteLength, open: () => single(bytes) });

const blob = ({ digest, size }: Descriptor, open: () => Bytes): File => ({
  name: `blobs/sha256/${hexOf(digest)}`,
  size,
  open,
});

/** Each blob once: platforms may share layers. */
function blobsOf(image: Assembled, openLayer: OciLayoutOptions['openLayer']): File[] {
  const top = topOf(image);
  const all = [
    ...imagesOf(image).flatMap(({ manifest, configDescriptor, configBytes, manifestDescriptor, manifestBytes }) => [
      ...manifest.layers.map((layer) => blob(layer, () => openLayer(layer))),
      blob(configDescriptor, () => single(configBytes)),
      blob(manifestDescriptor, () => single(manifestBytes)),
    ]),
    blob(top.descriptor, () => single(top.bytes)),
  ];
  return [...new Map(all.map((each) => [each.name, each])).values()];
}

async function fill(archive: Pack, files: readonly File[], signal: AbortSignal | undefined): Promise<void> {
  const epoch = new Date(0);
  for (const name of ['blobs/', 'blobs/sha256/']) archive.entry({ name, type: 'directory', mode: 0o755, mtime: epoch });
  for (const { name, size, open } of files) {
    const entry = archive.entry({ name, size, mode: 0o644, mtime: epoch });
    await pipeline(Readable.from(open(), { objectMode: false }), entry, signal === undefined ? {} : { signal });
  }
  archive.finalize();
}

/** One entry for each name, as BuildKit writes it: containerd goes by the full name, others by the tag. */
function indexOf(image: Assembled, names: readonly string[]): Json {
  const { mediaType: type, digest, size } = topOf(image).descriptor;
  const entry = image.kind === 'image' ? indexEntry(image) : { mediaType: type, digest, size };
  const named = [...new Set(names)].map((name) => {
    const reference = parseReference(name);
    const annotations: Record<string, string> = { 'io.containerd.image.name': formatReference(reference) };
    if (reference.tag !== undefined) annotations['org.opencontainers.image.ref.name'] = reference.tag;
    return { ...entry, annotations };
  });
  return { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: named.length === 0 ? [entry] : named };
}
