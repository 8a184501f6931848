import { type Descriptor, formatReference, hexOf, mediaType, parseReference } from '#oci';
import { type Bytes, canonicalJson, type Json, single } from '#std';
import { type ArchiveFile, fileOf, writeArchive } from './archive.ts';
import { type Assembled, manifestsOf, topEntry, topOf } from './assemble-index.ts';

export interface OciLayoutOptions {
  readonly image: Assembled;
  /** names as in `--tag`, which the layout's index gives the image; none is fine */
  readonly names: readonly string[];
  readonly openLayer: (descriptor: Descriptor) => Bytes;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A tar of an OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md): the same bytes for
 * the same image and names. One blob at a time is open.
 * @throws KilnError INVALID_ARGUMENT for a malformed name, at the first read; what `openLayer` throws
 */
export async function* writeOciLayout(options: OciLayoutOptions): Bytes {
  yield* writeArchive({ directories: layoutDirectories, files: layoutFiles(options), signal: options.signal });
}

export interface BlobLayoutOptions {
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly open: () => Bytes }[];
  /** what the layout's index lists */
  readonly manifests: readonly Json[];
  readonly signal?: AbortSignal | undefined;
}

/** The same of any blobs, each once. */
export async function* writeBlobLayout({ blobs, manifests, signal }: BlobLayoutOptions): Bytes {
  const files = new Map(blobs.map(({ descriptor, open }) => [blobPath(descriptor), blob(descriptor, open)]));
  const ordered = [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const index = { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests };
  yield* writeArchive({ directories: layoutDirectories, files: [...ordered, ...headFiles(index)], signal });
}

export const layoutDirectories = ['blobs/', 'blobs/sha256/'];

/** What an OCI layout consists of: blobs in order of their names, then what lists them. */
export function layoutFiles({ image, names, openLayer }: OciLayoutOptions): readonly ArchiveFile[] {
  const blobs = blobsOf(image, openLayer).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...blobs, ...headFiles(indexOf(image, names))];
}

function headFiles(index: Json): readonly ArchiveFile[] {
  const layout = Buffer.from(canonicalJson({ imageLayoutVersion: '1.0.0' }));
  return [fileOf('index.json', Buffer.from(canonicalJson(index))), fileOf('oci-layout', layout)];
}

export const blobPath = ({ digest }: Pick<Descriptor, 'digest'>): string => `blobs/sha256/${hexOf(digest)}`;

const blob = (descriptor: Descriptor, open: () => Bytes): ArchiveFile => ({
  name: blobPath(descriptor),
  size: descriptor.size,
  open,
});

/** Each blob once: platforms may share layers. */
function blobsOf(image: Assembled, openLayer: OciLayoutOptions['openLayer']): ArchiveFile[] {
  const top = topOf(image);
  const all = [
    ...manifestsOf(image).flatMap(({ manifest, configDescriptor, configBytes, manifestDescriptor, manifestBytes }) => [
      ...manifest.layers.map((layer) => blob(layer, () => openLayer(layer))),
      blob(configDescriptor, () => single(configBytes)),
      blob(manifestDescriptor, () => single(manifestBytes)),
    ]),
    blob(top.descriptor, () => single(top.bytes)),
  ];
  return [...new Map(all.map((each) => [each.name, each])).values()];
}

/** One entry for each name, as BuildKit writes it: containerd goes by the full name, others by the tag. */
function indexOf(image: Assembled, names: readonly string[]): Json {
  const entry = topEntry(image);
  const named = [...new Set(names)].map((name) => {
    const reference = parseReference(name);
    const annotations: Record<string, string> = {
      ...image.descriptorAnnotations,
      'io.containerd.image.name': formatReference(reference),
    };
    if (reference.tag !== undefined) annotations['org.opencontainers.image.ref.name'] = reference.tag;
    return { ...entry, annotations };
  });
  return { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: named.length === 0 ? [entry] : named };
}
