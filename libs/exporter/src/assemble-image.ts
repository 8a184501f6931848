import {
  type Compression,
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
  /** further members of the config, such as a cache in the image */
  readonly extra?: Readonly<Record<string, string>> | undefined;
  /** of the manifest */
  readonly annotations?: Annotations | undefined;
  /** of what lists the manifest: an index, an OCI layout */
  readonly descriptorAnnotations?: Annotations | undefined;
  /** OCI's media types by default; Docker's have no zstd and no annotations */
  readonly dialect?: Dialect | undefined;
}

export type Annotations = Readonly<Record<string, string>>;
export type Dialect = 'oci' | 'docker';

export interface AssembledImage {
  readonly kind: 'image';
  readonly configBytes: Buffer;
  readonly configDescriptor: Descriptor;
  readonly manifestBytes: Buffer;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly platform: Platform;
  readonly descriptorAnnotations: Annotations;
  readonly dialect: Dialect;
  /** RFC 3339 */
  readonly createdAt: string;
}

/**
 * Config and manifest of an OCI image: pure, the same bytes for the same parts. All media types are of one dialect.
 * @throws KilnError INTERNAL when layers, base and history contradict each other; INVALID_ARGUMENT for a layer that is
 * no tar, or what the dialect cannot say
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
      ...parts.extra,
    }),
  );
  const dialect = parts.dialect ?? 'oci';
  const annotations = parts.annotations ?? {};
  const descriptorAnnotations = parts.descriptorAnnotations ?? {};
  if (dialect === 'docker' && Object.keys({ ...annotations, ...descriptorAnnotations }).length > 0) {
    throw new KilnError('INVALID_ARGUMENT', 'Docker’s media types have no annotations', {
      hint: 'leave oci-mediatypes=false out',
    });
  }
  const types = dialects[dialect];
  const configDescriptor = describe(types.config, configBytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: configDescriptor,
    layers: parts.layers.map(({ descriptor }) => layerIn(types, descriptor)),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: { ...annotations } }),
  };
  const manifestBytes = Buffer.from(
    canonicalJson({
      ...manifest,
      config: { ...configDescriptor },
      layers: manifest.layers.map(({ mediaType: type, digest, size }) => ({ mediaType: type, digest, size })),
    }),
  );
  return {
    kind: 'image',
    configBytes,
    configDescriptor,
    manifestBytes,
    manifestDescriptor: describe(types.manifest, manifestBytes),
    manifest,
    platform,
    descriptorAnnotations,
    dialect,
    createdAt: parts.createdAt,
  };
}

function describe(type: string, bytes: Uint8Array): Descriptor {
  return { mediaType: type, digest: digestOf(bytes), size: bytes.byteLength };
}

interface MediaTypes {
  readonly manifest: NonNullable<Manifest['mediaType']>;
  readonly config: string;
  readonly layer: Readonly<Record<Compression, string | undefined>>;
}

const dialects: Readonly<Record<Dialect, MediaTypes>> = {
  oci: {
    manifest: mediaType.ociManifest,
    config: mediaType.ociConfig,
    layer: { none: mediaType.ociLayer, gzip: mediaType.ociLayerGzip, zstd: mediaType.ociLayerZstd },
  },
  docker: {
    manifest: mediaType.dockerManifest,
    config: mediaType.dockerConfig,
    layer: { none: mediaType.dockerLayer, gzip: mediaType.dockerLayerGzip, zstd: undefined },
  },
};

function layerIn({ layer }: MediaTypes, { mediaType: type, digest, size }: Descriptor): Descriptor {
  const compression = compressionOf(type);
  if (compression === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `the layer ${digest} is of a kind that images do not have: ${type}`);
  }
  const known = layer[compression];
  if (known === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `Docker’s media types have no ${compression}: the layer ${digest}`, {
      hint: 'leave oci-mediatypes=false out, or add compression=gzip,force-compression=true',
    });
  }
  return { mediaType: known, digest, size };
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
