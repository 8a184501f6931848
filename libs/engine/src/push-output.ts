import { type Assembled, type AssembledImage, imagesOf, pushImage, topOf } from '#exporter';
import { type Digest, formatReference, ImageConfigSchema, parseReference, type Reference } from '#oci';
import type { OutputRequest } from '#protocol';
import type { Repository } from '#registry';
import { KilnError } from '#std';
import { basesOf, type Exporting, type OpenBlob } from './exporting.ts';
import { blobsOf } from './keep-image.ts';

export interface Pushing {
  readonly image: Assembled;
  readonly output: Extract<OutputRequest, { readonly type: 'image' }>;
  /** full ones */
  readonly names: readonly string[];
  readonly open: OpenBlob;
}

/** Pushes an image under every name, or by its digest alone. Gives the names that it can be pulled by. */
export async function pushOutput(exporting: Exporting, pushing: Pushing): Promise<readonly string[]> {
  const references = referencesOf(exporting, pushing);
  if (references.length === 0) {
    throw new KilnError('INVALID_ARGUMENT', 'an image is pushed under its tags, and this build has none', {
      hint: 'add -t registry/name:tag',
      field: 'tags',
    });
  }
  const known = new Map(knownRepositories(exporting));
  for (const reference of references) {
    await pushTo(exporting, pushing, { reference, known });
    // The next repository of the same registry takes them from this one.
    for (const { digest } of blobsOf(pushing.image)) known.set(digest, [...(known.get(digest) ?? []), reference]);
  }
  return references.map(formatReference);
}

function referencesOf({ job }: Exporting, { output, names, image }: Pushing): readonly Reference[] {
  if (output.pushByDigest !== true) return names.map(parseReference);
  const { digest } = topOf(image).descriptor;
  return [...job.request.tags, ...(output.names ?? [])].map((name) => {
    const { registry, repository } = parseReference(name);
    return { registry, repository, digest };
  });
}

export interface Destination {
  readonly reference: Reference;
  /** repositories that have a blob */
  readonly known: ReadonlyMap<Digest, readonly Repository[]>;
}

/** Under one name. */
export async function pushTo(
  { node, job, report, tally }: Pick<Exporting, 'node' | 'job' | 'report' | 'tally'>,
  { image, open }: Pick<Pushing, 'image' | 'open'>,
  { reference, known }: Destination,
): Promise<void> {
  const layers = new Map(
    imagesOf(image).flatMap(({ manifest }) => manifest.layers.map((layer) => [layer.digest, layer.size])),
  );
  const total = [...layers.values()].reduce((sum, size) => sum + size, 0);
  const diffIds = new Map(imagesOf(image).flatMap(diffIdsOf));
  const name = formatReference(reference);
  const progress = { type: 'progress', id: `push ${name}`, name: `pushing ${name}`, unit: 'bytes', total } as const;
  let current = 0;
  report({ ...progress, atMs: node.clock.nowMs(), current, done: false });
  const { uploadedBytes } = await pushImage({
    client: job.registry,
    image,
    reference,
    openLayer: open,
    mountCandidates: known,
    report: (event) => {
      if (event.type !== 'blob' || !layers.has(event.descriptor.digest)) return;
      const { digest, size: sizeBytes } = event.descriptor;
      current += sizeBytes;
      const { outcome, mountedFrom } = event;
      const diffId = diffIds.get(digest);
      const from = mountedFrom === undefined ? {} : { mountedFrom };
      if (diffId !== undefined) {
        const pushed = { type: 'layerPushed', reference: name, digest, diffId, sizeBytes, outcome } as const;
        report({ ...pushed, ...from, atMs: node.clock.nowMs() });
      }
      report({ ...progress, atMs: node.clock.nowMs(), current, done: false });
    },
    beforeTag: job.checkFence,
    signal: job.signal,
  });
  tally.pushedBytes += uploadedBytes;
  report({ ...progress, atMs: node.clock.nowMs(), current: total, done: true });
}

/** Of each layer's blob. */
function diffIdsOf({ configBytes, manifest }: AssembledImage): readonly (readonly [Digest, Digest])[] {
  const { rootfs } = ImageConfigSchema.parse(JSON.parse(configBytes.toString('utf8')));
  return manifest.layers.flatMap(({ digest }, at) => {
    const diffId = rootfs.diff_ids?.[at];
    return diffId === undefined ? [] : [[digest, diffId] as const];
  });
}

/** Where layers are known to be: the bases', and those of other caches. */
export function knownRepositories({ results, images, placed }: Exporting): ReadonlyMap<Digest, readonly Repository[]> {
  return new Map([
    ...placed.repositories(),
    ...basesOf(results).flatMap((base) => {
      const { registry, repository } = parseReference(base.reference);
      return images
        .layersOf(base.digest)
        .map((layer): [Digest, Repository[]] => [layer.descriptor.digest, [{ registry, repository }]]);
    }),
  ]);
}
