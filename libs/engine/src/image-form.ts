import type { Dialect } from '#exporter';
import { type Compression, parsePlatform, parseReference, type Reference } from '#oci';
import type { OutputRequest, StoredRequest } from '#protocol';
import { KilnError } from '#std';
import { type AnnotationRule, checkAnnotations, parseAnnotations } from './annotation-rules.ts';
import { attests, attestsFiles } from './attestations.ts';

/** Everything in which one output's image can differ from another's of the same results. */
export interface ImageForm {
  readonly dialect: Dialect;
  /** of layers that the build made; as they are by default */
  readonly compression: Compression | undefined;
  readonly level: number | undefined;
  /** base layers too */
  readonly force: boolean;
  /** no mtime in layers of this build is later than SOURCE_DATE_EPOCH */
  readonly rewriteTimestamp: boolean;
  /** an index for one platform too */
  readonly index: boolean;
  readonly annotations: readonly AnnotationRule[];
  /** what its attestations call it, and how they are kept; undefined for an image without any */
  readonly attested: { readonly names: readonly Reference[]; readonly artifact: boolean } | undefined;
}

type ImageOutput = Extract<OutputRequest, { readonly type: 'image' | 'oci' | 'docker' }>;

export const isImageOutput = (output: OutputRequest): output is ImageOutput =>
  output.type === 'image' || output.type === 'oci' || output.type === 'docker';

/** @throws KilnError INVALID_ARGUMENT */
export function formOf(request: StoredRequest, output?: ImageOutput): ImageForm {
  // An archive for docker load has no place for them, and an image that nobody gets no reader.
  const isRead = output === undefined ? request.tags.length > 0 : output.type !== 'docker';
  const attested = attests(request) && isRead;
  const index = request.platforms.length > 1 || asksForIndex(request) || attested;
  return {
    dialect: output?.ociMediaTypes === false ? 'docker' : 'oci',
    compression: output?.compression === 'uncompressed' ? 'none' : output?.compression,
    level: output?.compressionLevel,
    force: output?.forceCompression === true,
    rewriteTimestamp: output?.rewriteTimestamp === true,
    index,
    annotations: parseAnnotations({ ...request.annotations, ...output?.annotations }),
    attested: attested ? { names: namesIn(request, output), artifact: output?.ociArtifact !== false } : undefined,
  };
}

function namesIn({ tags }: StoredRequest, output?: ImageOutput): readonly Reference[] {
  const names = [...new Set([...tags, ...(output?.names ?? [])])].map(parseReference);
  if (output?.type !== 'image' || output.pushByDigest !== true) return names;
  return names.map(({ registry, repository }) => ({ registry, repository }));
}

/** As with BuildKit: `--build-arg BUILDKIT_MULTI_PLATFORM=1`. */
export function asksForIndex({ buildArgs }: StoredRequest): boolean {
  return ['1', 't', 'true'].includes((buildArgs['BUILDKIT_MULTI_PLATFORM'] ?? '').toLowerCase());
}

/**
 * Told before anything runs.
 * @throws KilnError INVALID_ARGUMENT for outputs that the build cannot have
 */
export function checkOutputs(request: StoredRequest): void {
  const several = request.platforms.length > 1;
  const platforms = request.platforms.map(parsePlatform);
  for (const [at, output] of request.outputs.entries()) {
    const field = `outputs[${at}]`;
    const refuse = (message: string, hint: string): KilnError =>
      new KilnError('INVALID_ARGUMENT', message, { field, hint });
    if (!isImageOutput(output)) continue;
    const form = formOf(request, output);
    if (several && output.type === 'docker') {
      throw refuse(
        'an archive for docker load holds one platform, and this build has several',
        'build one platform, or use --output type=oci',
      );
    }
    if (output.type === 'docker' && attestsFiles(request)) {
      throw refuse(
        'an archive for docker load has no attestations',
        'use another output, or leave them out; a provenance may be inline-only, for such an archive to go without it',
      );
    }
    if (form.dialect === 'docker' && form.attested !== undefined)
      throw refuse('attestations go with OCI media types alone', 'leave oci-mediatypes=false out');
    if (form.dialect === 'docker' && form.compression === 'zstd')
      throw refuse('compression=zstd goes with OCI media types alone', 'leave oci-mediatypes=false out');
    if (form.compression === 'gzip' && (form.level ?? 0) > 9)
      throw refuse(`gzip has no level ${form.level}`, 'there are 0 to 9');
    checkAnnotations(
      form.annotations,
      platforms.length === 0 ? { ...unknownPlatforms(form), index: form.index } : { platforms, index: form.index },
    );
    if (output.type !== 'image' || !output.push) continue;
    const names = [...request.tags, ...(output.names ?? [])];
    if (names.length === 0)
      throw refuse('an image is pushed under its tags, and this build has none', 'add -t registry/name:tag');
  }
  formOf(request);
}

/** Where the platform is the builder's own, the annotations' are checked when it is known. */
const unknownPlatforms = ({ annotations }: ImageForm) => ({
  platforms: annotations.flatMap(({ platform }) => platform ?? []),
});
