import { type Assembled, imagesOf, readImage } from '#exporter';
import { type Descriptor, type Digest, formatReference, parseReference } from '#oci';
import type { BuildResult, ImageContent } from '#protocol';
import type { Repository } from '#registry';
import { collect, KilnError } from '#std';
import type { Exporting, OpenBlob } from './exporting.ts';
import { blobsOf } from './keep-image.ts';
import { pushTo } from './push-output.ts';

type Pushing = Pick<Exporting, 'node' | 'job' | 'report' | 'tally'>;
type Pushed = Pick<BuildResult, 'digest' | 'descriptor' | 'configDigest' | 'names' | 'outputs'>;

/** As registries take them. */
const DOCUMENT_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * Pushes an image of an earlier build under the request's tags: the same bytes, from the content store; what is a base's and not
 * here, from the base's repository.
 * @throws KilnError NOT_FOUND, INVALID_ARGUMENT without a tag, BLOB_MISSING for what is gone, and as `pushImage` does
 */
export async function pushStored(pushing: Pushing): Promise<Pushed> {
  const { node, job } = pushing;
  const { image: digest, tags } = job.request;
  if (digest === undefined || tags.length === 0)
    throw new KilnError('INVALID_ARGUMENT', 'a push names an image and where it goes', { field: 'image' });
  const stored = await job.images.read(digest);
  const read = async (descriptor: Descriptor): Promise<Buffer> =>
    await collect(node.content.get(descriptor.digest, job.signal), DOCUMENT_LIMIT_BYTES);
  const image = await readImage(stored.descriptor, read);
  const known = new Map(await knownPlaces(pushing, stored, image));
  const open = layerOpener(pushing, stored);
  const references = tags.map(parseReference);
  for (const reference of references) {
    await pushTo(pushing, { image, open }, { reference, known });
    for (const blob of blobsOf(image)) known.set(blob.digest, [...(known.get(blob.digest) ?? []), reference]);
  }
  const names = references.map(formatReference);
  await job.images.pushed(digest, names);
  const [first] = imagesOf(image);
  return {
    digest,
    descriptor: stored.descriptor,
    ...(first === undefined ? {} : { configDigest: first.configDescriptor.digest }),
    names,
    outputs: [],
  };
}

/** Where registries may mount layers from: what they were pushed to before, and the bases. */
async function knownPlaces(
  { job }: Pushing,
  stored: ImageContent,
  image: Assembled,
): Promise<ReadonlyMap<Digest, readonly Repository[]>> {
  const places = new Map(await job.images.places(blobsOf(image).map(({ digest }) => digest)));
  for (const [digest, base] of basesOf(stored)) places.set(digest, [...(places.get(digest) ?? []), base.from]);
  return places;
}

function layerOpener({ node, job, tally }: Pushing, stored: ImageContent): OpenBlob {
  const bases = basesOf(stored);
  return async function* (descriptor) {
    const base = bases.get(descriptor.digest);
    const wanted = new Set([descriptor.digest]);
    if (base !== undefined && (await node.content.findMissing(wanted, job.signal)).size > 0) {
      const onBytes = (bytes: number): void => {
        tally.pulledBytes += bytes;
      };
      await job.registry.copyBlob(base.from, base.descriptor, { into: node.content, onBytes }, job.signal);
      await job.grants.grant([base.descriptor], job.signal);
    }
    yield* node.content.get(descriptor.digest, job.signal);
  };
}

interface BaseLayer {
  readonly from: Repository;
  readonly descriptor: Descriptor;
}

/** The layers of bases, and the repositories that have them. */
function basesOf({ variants }: ImageContent): ReadonlyMap<Digest, BaseLayer> {
  return new Map(
    variants.flatMap(({ base, history }) => {
      if (base === undefined) return [];
      const { registry, repository } = parseReference(base.repository);
      const layers = history.flatMap(({ layer }) => layer ?? []).slice(0, base.layers);
      return layers.map(
        ({ descriptor }) => [descriptor.digest, { from: { registry, repository }, descriptor }] as const,
      );
    }),
  );
}
