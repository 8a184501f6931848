import { type Assembled, type AssembledImage, imagesOf, manifestsOf, statementIn, topOf } from '#exporter';
import type { StoredLayer } from '#cache';
import { type Descriptor, type Digest, ImageConfigSchema, type Layer } from '#oci';
import type { ImageContent, ImageEntry, ImageVariant } from '#protocol';
import { KilnError } from '#std';
import type { Exporting } from './exporting.ts';
import { keepsImage } from './image-builder.ts';
import { type PlatformResult, treeOf } from './platform-result.ts';

export interface Keeping {
  readonly image: Assembled;
  /** full ones, with tags */
  readonly names: readonly string[];
  /** those that it was pushed under */
  readonly pushed: readonly string[];
}

/** Tells the project of an image that is out: what it is called, what it is made of, where it was pushed. */
export async function keepImage(exporting: Exporting, { image, names, pushed }: Keeping): Promise<void> {
  const { job } = exporting;
  const [first] = imagesOf(image);
  if (first === undefined) throw new KilnError('INTERNAL', 'a build without a result');
  const variants = await Promise.all(
    imagesOf(image).map(async (each, at) => ({ ...(await variantOf(exporting, each, at)), ...toldOf(image, each) })),
  );
  const { descriptor } = topOf(image);
  const content: ImageContent = { descriptor, variants, createdAt: first.createdAt };
  const deltas = variants.flatMap(({ history }) => history.flatMap(({ layer }) => layer?.delta ?? []));
  const kept = keepsImage(job.request);
  await job.images.keep({
    image: content,
    names,
    kept,
    documents: documentsOf(image),
    layers: layersIn(image),
    deltas,
  });
  if (pushed.length > 0) await job.images.pushed(descriptor.digest, pushed);
}

/** All that a registry is to have of it. */
export const blobsOf = (image: Assembled): readonly Descriptor[] => [...documentsOf(image), ...layersIn(image)];

/** Statements among them: nobody could make them again. */
function documentsOf(image: Assembled): readonly Descriptor[] {
  const statements = image.kind === 'image' ? [] : image.attestations.flatMap(({ manifest }) => manifest.layers);
  return [
    topOf(image).descriptor,
    ...manifestsOf(image).flatMap(({ manifestDescriptor, configDescriptor }) => [manifestDescriptor, configDescriptor]),
    ...statements,
  ];
}

const layersIn = (image: Assembled): readonly Descriptor[] =>
  imagesOf(image).flatMap(({ manifest }) => manifest.layers);

/** What is said of one of its images. */
function toldOf(image: Assembled, { manifestDescriptor }: AssembledImage): Pick<ImageVariant, 'attestations'> {
  const told = image.kind === 'image' ? [] : image.attestations.filter(({ of }) => of === manifestDescriptor.digest);
  const attestations = told.flatMap(({ manifest }) => manifest.layers.map(statementIn));
  return attestations.length === 0 ? {} : { attestations };
}

async function variantOf(
  { results, intermediates }: Exporting,
  image: AssembledImage,
  at: number,
): Promise<ImageVariant> {
  const { manifest, manifestDescriptor, configDescriptor, platform } = image;
  const result = results[at];
  if (result === undefined) throw new KilnError('INTERNAL', 'an image without a result');
  const { base, history } = result.lowered;
  const layers = await layersOf(result);
  const entries = entriesOf(image, deltasOf(layers));
  // Those of several platforms are nobody's `docker history`.
  const ids = intermediates === undefined ? [] : intermediates.end(configDescriptor.digest, layers);
  const own = entries.length - history.length;
  return {
    platform: { ...platform },
    digest: manifestDescriptor.digest,
    id: configDescriptor.digest,
    ...(base === undefined
      ? {}
      : { base: { repository: base.reference, layers: base.config.rootfs.diff_ids?.length ?? 0 } }),
    sizeBytes: [configDescriptor, ...manifest.layers].reduce((sum, { size }) => sum + size, 0),
    history: entries.map((entry, index) => {
      const id = index === entries.length - 1 ? configDescriptor.digest : ids[index - own];
      return id === undefined ? entry : { ...entry, id };
    }),
  };
}

/** By diffID, of layers that somebody has looked into. */
function deltasOf(layers: readonly (Layer & Partial<StoredLayer>)[]): ReadonlyMap<Digest, Descriptor> {
  return new Map(layers.flatMap(({ diffId, delta }) => (delta === undefined ? [] : [[diffId, delta] as const])));
}

const layersOf = async ({ root }: PlatformResult): ReturnType<ReturnType<typeof treeOf>['descriptors']> =>
  await treeOf(root).descriptors();

/** The history of an image, each layer beside the line that made it. */
function entriesOf(
  { configBytes, manifest }: AssembledImage,
  deltas: ReadonlyMap<Digest, Descriptor>,
): readonly ImageEntry[] {
  const config = ImageConfigSchema.parse(JSON.parse(configBytes.toString('utf8')));
  const diffIds: readonly Digest[] = config.rootfs.diff_ids ?? [];
  let at = 0;
  return (config.history ?? []).map(({ created, created_by: createdBy = '', comment, empty_layer: empty }) => {
    const entry = {
      createdBy,
      ...(created === undefined ? {} : { createdAt: created }),
      ...(comment === undefined ? {} : { comment }),
    };
    if (empty === true) return entry;
    const [descriptor, diffId] = [manifest.layers[at], diffIds[at]];
    at += 1;
    if (descriptor === undefined || diffId === undefined) return entry;
    const { mediaType, digest, size } = descriptor;
    const delta = deltas.get(diffId);
    const layer = { descriptor: { mediaType, digest, size }, diffId, ...(delta === undefined ? {} : { delta }) };
    return { ...entry, layer };
  });
}
