/** https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md, and Docker's names for the same. */
export const mediaType = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  /** `{}`: the config of what is no image */
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  /** a statement of https://in-toto.io */
  inToto: 'application/vnd.in-toto+json',
} as const;

export type Compression = 'none' | 'gzip' | 'zstd';

/** How a layer of this media type is compressed; undefined for what is no layer that we can read. */
export function compressionOf(type: string): Compression | undefined {
  switch (type) {
    case mediaType.ociLayer:
    case mediaType.dockerLayer:
      return 'none';
    case mediaType.ociLayerGzip:
    case mediaType.dockerLayerGzip:
      return 'gzip';
    case mediaType.ociLayerZstd:
      return 'zstd';
    default:
      return undefined;
  }
}
