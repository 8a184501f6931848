import type { BuildResult } from '#protocol';

/** An index stands for several configs. */
const isIndex = ({ descriptor }: BuildResult): boolean => descriptor !== undefined && descriptor.platform === undefined;

/** What `--iidfile` holds: the digest of the config, of several platforms that of the index. */
export function imageId(result: BuildResult): string | undefined {
  return isIndex(result) ? (result.digest ?? result.configDigest) : result.configDigest;
}

/** What `--metadata-file` holds: buildx's keys, and what only Kiln can tell. */
export function metadataOf(build: { readonly id: string; readonly url: string }, result: BuildResult): object {
  const cached = result.cache?.exports.findLast(({ descriptor }) => descriptor !== undefined)?.descriptor;
  return {
    ...(result.digest === undefined ? {} : { 'containerimage.digest': result.digest }),
    ...(result.configDigest === undefined || isIndex(result)
      ? {}
      : { 'containerimage.config.digest': result.configDigest }),
    ...(result.descriptor === undefined ? {} : { 'containerimage.descriptor': result.descriptor }),
    ...(cached === undefined ? {} : { 'cache.manifest': cached }),
    ...(result.names.length === 0 ? {} : { 'image.name': result.names.join(',') }),
    'kiln.build': {
      id: build.id,
      url: build.url,
      steps: result.steps,
      bytes: result.bytes,
      durationMs: result.durationMs,
      savedMs: result.savedMs,
      ...(result.cache === undefined ? {} : { cache: result.cache }),
    },
  };
}
