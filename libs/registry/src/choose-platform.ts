import { formatPlatform, type Index, mediaType, normalisePlatform, type Platform } from '#oci';
import { RegistryError } from './registry-error.ts';

type Entry = Index['manifests'][number];

/** Variants that a machine of the given one runs, the best first; https://github.com/containerd/platforms, `Only`. */
function runnable(platform: Platform): readonly (string | undefined)[] {
  const { architecture, variant } = platform;
  const version = Number(/^v(\d+)$/.exec(variant ?? '')?.[1] ?? Number.NaN);
  const down = (to: number): readonly string[] =>
    Array.from({ length: Math.max(version - to + 1, 0) }, (_, index) => `v${version - index}`);
  if (architecture === 'arm' && version >= 5) return down(5);
  // arm64/v8 and amd64/v1 are written without variant.
  if (architecture === 'amd64' && version >= 2) return [...down(2), undefined];
  if (architecture === 'arm64' && version >= 9) return [variant, undefined];
  return [variant];
}

const manifestTypes: readonly string[] = [
  mediaType.ociManifest,
  mediaType.dockerManifest,
  mediaType.ociIndex,
  mediaType.dockerIndex,
];
const configTypes: readonly string[] = [mediaType.ociConfig, mediaType.dockerConfig];

/** Indexes also list what belongs to images: attestations, signatures, indexes of files. Some name a platform, the image's. */
function isImage({ mediaType: type, artifactType, annotations, platform }: Entry): boolean {
  if (!manifestTypes.includes(type)) return false;
  if (artifactType !== undefined && artifactType !== '' && !configTypes.includes(artifactType)) return false;
  // BuildKit lists attestations as images for an unknown platform.
  return annotations?.['vnd.docker.reference.type'] === undefined && platform?.os !== 'unknown';
}

/**
 * The entry of an index that runs on a platform: the nearest variant, of several the first.
 * @throws RegistryError IMAGE_NOT_FOUND with the platforms that there are
 */
export function choosePlatform(index: Index, wanted: Platform, image: string): Entry {
  const target = normalisePlatform(wanted);
  const images = index.manifests.filter(isImage);
  const entries = images.flatMap((entry) =>
    entry.platform === undefined ? [] : [{ entry, platform: normalisePlatform(entry.platform) }],
  );
  const [only] = images;
  // An index of one image that does not say what it is for.
  if (only !== undefined && entries.length === 0 && images.length === 1) return only;
  const matching = entries.filter(
    ({ platform }) => platform.os === target.os && platform.architecture === target.architecture,
  );
  for (const variant of runnable(target)) {
    const found = matching.find(({ platform }) => platform.variant === variant);
    if (found !== undefined) return found.entry;
  }
  const names = new Set(entries.map(({ platform }) => formatPlatform(platform)));
  throw new RegistryError('IMAGE_NOT_FOUND', `${image} is not there for ${formatPlatform(target)}`, {
    hint: names.size === 0 ? 'its index names no platform' : `it is there for ${[...names].join(', ')}`,
  });
}
