import type { ContentStore } from '#content';
import { type Assembled, type AssembledImage, imagesOf, readImage } from '#exporter';
import type { ImageOp } from '#graph';
import {
  type Descriptor,
  type Digest,
  formatPlatform,
  ImageConfigSchema,
  parsePlatform,
  type Platform,
  type RunConfig,
  runsOn,
  samePlatform,
} from '#oci';
import { collect, isKilnError, KilnError } from '#std';
import type { Images } from './images.ts';
import type { BuildJobInput } from './job.ts';
import { OF_NO_REGISTRY } from './layout-image.ts';

/** As registries take them. */
const DOCUMENT_LIMIT_BYTES = 64 * 1024 * 1024;

/** An image that is to be run. */
export interface RunSource {
  readonly op: ImageOp;
  readonly platform: Platform;
  readonly config: RunConfig;
}

export interface SourceOptions {
  readonly job: BuildJobInput;
  readonly images: Images;
  readonly content: ContentStore;
}

/**
 * Finds the image that a request names: one of the project by its digest, else what a registry has, as FROM would take it.
 * @throws KilnError NOT_FOUND, BLOB_MISSING, PLATFORM_UNAVAILABLE, and as `Images.resolve` does
 */
export async function runSource({ job, images, content }: SourceOptions): Promise<RunSource> {
  const { image: stored, reference, platforms } = job.request;
  const asked = platforms[0] === undefined ? undefined : parsePlatform(platforms[0]);
  if (stored !== undefined) return await storedSource(stored, asked, { job, images, content });
  if (reference === undefined) throw new KilnError('INVALID_ARGUMENT', 'a run names an image', { field: 'reference' });
  const platform = asked ?? job.buildPlatform;
  const found = await images.resolve(reference, platform, job.signal).catch((thrown: unknown) => {
    throw job.request.pull ? thrown : notOurs(reference, thrown);
  });
  const { reference: repository, digest, config } = found;
  const { os, architecture, variant } = config;
  const op: ImageOp = { kind: 'image', reference: repository, digest };
  return { op, platform: platformOf({ os, architecture, variant }), config: config.config ?? {} };
}

/** Who meant an image that a build made is not to wonder about registries. */
function notOurs(reference: string, thrown: unknown): unknown {
  if (!isKilnError(thrown)) return thrown;
  const { code, message, hint, cause } = thrown;
  return new KilnError(code, `the project has no image ${reference}, and ${message}`, { hint, cause });
}

async function storedSource(
  digest: Digest,
  asked: Platform | undefined,
  { job, images, content }: SourceOptions,
): Promise<RunSource> {
  const stored = await job.images.read(digest);
  const read = async (descriptor: Descriptor): Promise<Buffer> =>
    await collect(content.get(descriptor.digest, job.signal), DOCUMENT_LIMIT_BYTES);
  const chosen = chooseImage(await readImage(stored.descriptor, read), asked, job.buildPlatform);
  const base = stored.variants.find((variant) => variant.digest === chosen.manifestDescriptor.digest)?.base;
  const { layers } = chosen.manifest;
  const missing = await content.findMissing(new Set(layers.map((layer) => layer.digest)), job.signal);
  const lost = layers.slice(base?.layers ?? 0).filter((layer) => missing.has(layer.digest));
  const from = lost.length === 0 ? base?.repository : await pushedTo(lost, job);
  const known = from?.startsWith(OF_NO_REGISTRY) === true ? undefined : from;
  const config = ImageConfigSchema.parse(JSON.parse(chosen.configBytes.toString('utf8')));
  const { manifest, manifestDescriptor, platform } = chosen;
  const image = { digest: manifestDescriptor.digest, manifest, config, standIn: false };
  images.adopt({ image, reference: known });
  const op: ImageOp = { kind: 'image', reference: known ?? `${OF_NO_REGISTRY}image`, digest: image.digest };
  return { op, platform, config: config.config ?? {} };
}

/** A repository that was given all of these layers. @throws KilnError BLOB_MISSING when there is none */
async function pushedTo(lost: readonly Descriptor[], job: BuildJobInput): Promise<string> {
  const digests = lost.map(({ digest }) => digest);
  const places = await job.images.places(digests);
  const names = digests.map(
    (digest) => new Set((places.get(digest) ?? []).map(({ registry, repository }) => `${registry}/${repository}`)),
  );
  const found = [...(names[0] ?? [])].find((name) => names.every((each) => each.has(name)));
  if (found !== undefined) return found;
  throw new KilnError(
    'BLOB_MISSING',
    `the farm has dropped layers of the image since it was built: ${digests.join(', ')}`,
    {
      hint: 'build it again, which costs what is not cached; -o type=image keeps it',
    },
  );
}

/** Who asks for no platform takes what there is, the farm's own first. */
function chooseImage(image: Assembled, asked: Platform | undefined, own: Platform): AssembledImage {
  const all = imagesOf(image);
  const wanted = asked ?? own;
  const found =
    all.find(({ platform }) => samePlatform(platform, wanted)) ??
    all.find(({ platform }) => runsOn(wanted, platform)) ??
    (asked === undefined ? all[0] : undefined);
  if (found !== undefined) return found;
  const names = all.map(({ platform }) => formatPlatform(platform)).join(', ');
  throw new KilnError('IMAGE_NOT_FOUND', `the image is not there for ${formatPlatform(wanted)}`, {
    hint: `it is there for ${names}`,
  });
}

const platformOf = ({
  os,
  architecture,
  variant,
}: {
  os: string;
  architecture: string;
  variant?: string | undefined;
}) => parsePlatform(formatPlatform(variant === undefined ? { os, architecture } : { os, architecture, variant }));
