import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { compressionOf, type Digest, Hasher, type Layer } from '#oci';
import { type Bytes, KilnError } from '#std';

/**
 * A layer's tar from its blob.
 * @throws KilnError BLOB_CORRUPT at the end when the tar is not the one of the diffID
 */
export async function* layerTar(layer: Layer, blob: Bytes): Bytes {
  const hasher = new Hasher();
  for await (const chunk of decompressed(layer, blob)) {
    hasher.update(chunk);
    yield chunk;
  }
  const digest: Digest = hasher.digest();
  if (digest !== layer.diffId) {
    throw new KilnError(
      'BLOB_CORRUPT',
      `layer ${layer.descriptor.digest} unpacks to ${digest}, its image says ${layer.diffId}`,
    );
  }
}

async function* decompressed({ descriptor }: Layer, blob: Bytes): Bytes {
  const compression = compressionOf(descriptor.mediaType);
  if (compression === undefined) {
    throw new KilnError('IMAGE_NOT_FOUND', `a layer of the media type ${descriptor.mediaType} cannot be read`);
  }
  if (compression === 'none') {
    yield* blob;
    return;
  }
  const unpack = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  const piped = pipeline(Readable.from(blob, { objectMode: false }), unpack);
  // Its failure also ends the iteration below, which throws it.
  piped.catch(() => {});
  try {
    yield* unpack as AsyncIterable<Uint8Array>;
    await piped;
  } finally {
    unpack.destroy();
  }
}
