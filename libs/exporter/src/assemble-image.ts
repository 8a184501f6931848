import {
  compressionOf,
  type Descriptor,
  digestOf,
  type History,
  type ImageConfig,
  type Layer,
  type Manifest,
  mediaType,
  normalisePlatform,
  type Platform,
  type RunConfig,
} from '#oci';
import { canonicalJson, KilnError } from '#std';
import { compactRunConfig } from './run-config.ts';

/** A line of this build's history; those without `emptyLayer` match its layers in number and order. */
export interface StepHistory {
  readonly createdBy: string;
  readonly emptyLayer: boolean;
  readonly comment?: string | undefined;
  /** RFC 3339; that of the image by default */
  readonly createdAt?: string | undefined;
}

/** All that an image is made of. */
export interface ImageParts {
  readonly platform: Platform;
  readonly config: RunConfig;
  readonly author?: string | undefined;
  /** of this build, after the base's own */
  readonly history: readonly StepHistory[];
  /** what the first layers come from; undefined for scratch */
  readonly base?: { readonly config: ImageConfig } | undefined;
  /** all, those of the base first */
  readonly layers: readonly Layer[];
  /** RFC 3339; from the cached results and never from the wall clock, or digests do not settle */
  readonly createdAt: string;
  /** of the manifest */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface AssembledImage {
  readonly kind: 'image';
  readonly configBytes: Buffer;
  readonly configDescriptor: Descriptor;
  readonly manifestBytes: Buffer;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly platform: Platform;
}

/**
 * Config and manifest of an OCI image: pure, the same bytes for the same parts. Docker's media types become OCI's.
 * @throws KilnError INTERNAL when layers, base and history contradict each other; INVALID_ARGUMENT for a layer that is no tar
 */
export function assembleImage(parts: ImageParts): AssembledImage {
  const platform = normalisePlatform(parts.platform);
  const configBytes = Buffer.from(
    canonicalJson({
      ...(parts.author ? { author: parts.author } : {}),
      architecture: platform.architecture,
      os: platform.os,
      variant: platform.variant,
      created: parts.createdAt,
      config: compactRunConfig(parts.config),
      rootfs: { type: 'layers', diff_ids: parts.layers.map(({ diffId }) => diffId) },
      history: historyOf(parts).map((entry) => ({ ...entry })),
    }),
  );
  const configDescriptor = describe(mediaType.ociConfig, configBytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: configDescriptor,
    layers: parts.layers.map(({ descriptor }) => ociLayer(descriptor)),
    ...(parts.annotations === undefined || Object.keys(parts.annotations).length === 0
      ? {}
      : { annotations: { ...parts.annotations } }),
  };
  const manifestBytes = Buffer.from(
    canonicalJson({
      ...manifest,
      config: { ...configDescriptor },
      layers: manifest.layers.map(({ mediaType: type, digest, size }) => ({ mediaType: type, digest, size })),
    }),
  );
  const manifestDescriptor = describe(mediaType.ociManifest, manifestBytes);
  return { kind: 'image', configBytes, configDescriptor, manifestBytes, manifestDescriptor, manifest, platform };
}

function describe(type: string, bytes: Uint8Array): Descriptor {
  return { mediaType: type, digest: digestOf(bytes), size: bytes.byteLength };
}

function ociLayer({ mediaType: type, digest, size }: Descriptor): Descriptor {
  switch (compressionOf(type)) {
    case 'none':
      return { mediaType: mediaType.ociLayer, digest, size };
    case 'gzip':
      return { mediaType: mediaType.ociLayerGzip, digest, size };
    case 'zstd':
      return { mediaType: mediaType.ociLayerZstd, digest, size };
    case undefined:
      throw new KilnError('INVALID_ARGUMENT', `the layer ${digest} is of a kind that images do not have: ${type}`);
  }
}

/** One entry for each layer, in order, with those that made none between. */
function historyOf({ base, layers, history, createdAt }: ImageParts): readonly History[] {
  const baseDiffIds = base?.config.rootfs.diff_ids ?? [];
  if (baseDiffIds.some((diffId, index) => layers[index]?.diffId !== diffId)) {
    throw new KilnError('INTERNAL', 'the image does not begin with the layers of its base');
  }
  const made = history.filter(({ emptyLayer }) => !emptyLayer).length;
  if (baseDiffIds.length + made !== layers.length) {
    throw new KilnError(
      'INTERNAL',
      `the image has ${layers.length} layers: ${baseDiffIds.length} of its base, ${made} in its history`,
    );
  }
  return [
    ...(base === undefined ? [] : baseHistory(base.config, baseDiffIds.length)),
    ...history.map(
      (entry): History => ({
        created: entry.createdAt ?? createdAt,
        created_by: entry.createdBy,
        ...(entry.comment === undefined ? {} : { comment: entry.comment }),
        ...(entry.emptyLayer ? { empty_layer: true } : {}),
      }),
    ),
  ];
}

/** Some tools write no history, or too little: readers match entries and layers by number, so there is one for each. */
function baseHistory(config: ImageConfig, layerCount: number): readonly History[] {
  const told = (config.history ?? []).map(
    ({ empty_layer, ...entry }): History => ({
      ...entry,
      ...(empty_layer === true ? { empty_layer } : {}),
    }),
  );
  const missing = layerCount - told.filter((entry) => entry.empty_layer !== true).length;
  if (missing < 0) return Array.from({ length: layerCount }, () => untold(config));
  return [...told, ...Array.from({ length: missing }, () => untold(config))];
}

function untold(config: ImageConfig): History {
  return { ...(config.created === undefined ? {} : { created: config.created }), comment: 'from the base image' };
}
