import type { BuildResult } from '#protocol';

/** What `--metadata-file` holds: buildx's keys, and what only Kiln can tell. */
export function metadataOf(build: { readonly id: string; readonly url: string }, result: BuildResult): object {
  return {
    ...(result.digest === undefined ? {} : { 'containerimage.digest': result.digest }),
    ...(result.configDigest === undefined ? {} : { 'containerimage.config.digest': result.configDigest }),
    ...(result.names.length === 0 ? {} : { 'image.name': result.names.join(',') }),
    'kiln.build': {
      id: build.id,
      url: build.url,
      steps: result.steps,
      bytes: result.bytes,
      durationMs: result.durationMs,
      savedMs: result.savedMs,
    },
  };
}
