import { formatPlatform, type Index, normalisePlatform, type Platform } from '#oci';
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

/**
 * The entry of an index that runs on a platform: the nearest variant, of several the first.
 * @throws RegistryError IMAGE_NOT_FOUND with the platforms that there are
 */
export function choosePlatform(index: Index, wanted: Platform, image: string): Entry {
  const target = normalisePlatform(wanted);
  const entries = index.manifests.flatMap((entry) =>
    entry.platform === undefined ? [] : [{ entry, platform: normalisePlatform(entry.platform) }],
  );
  const [only] = index.manifests;
  // An index of one image that does not say what it is for.
  if (only !== undefined && entries.length === 0 && index.manifests.length === 1) return only;
  const matching = entries.filter(
    ({ platform }) => platform.os === target.os && platform.architecture === target.architecture,
  );
  for (const variant of runnable(target)) {
    const found = matching.find(({ platform }) => platform.variant === variant);
    if (found !== undefined) return found.entry;
  }
  // BuildKit lists attestations as images for an unknown platform.
  const names = new Set(
    entries.map(({ platform }) => formatPlatform(platform)).filter((name) => !name.startsWith('unknown/')),
  );
  throw new RegistryError('IMAGE_NOT_FOUND', `${image} is not there for ${formatPlatform(target)}`, {
    hint: names.size === 0 ? 'its index names no platform' : `it is there for ${[...names].join(', ')}`,
  });
}
