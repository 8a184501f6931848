import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Hasher, type Layer, mediaType } from '#oci';

/** A layer with the file that its blob is in. */
export interface LayerFile {
  readonly layer: Layer;
  readonly path: string;
}

/** Compresses a tar to `<tar>.gz` and digests both; the same bytes for the same tar. */
export async function layerOf(tar: string, signal: AbortSignal): Promise<LayerFile> {
  const path = `${tar}.gz`;
  const [plain, packed] = [hashing(), hashing()];
  await pipeline(
    createReadStream(tar),
    plain.through,
    createGzip({ level: 6 }),
    packed.through,
    createWriteStream(path, { mode: 0o644 }),
    { signal },
  );
  const { size } = await stat(path);
  const descriptor = { mediaType: mediaType.ociLayerGzip, digest: packed.hasher.digest(), size };
  return { layer: { descriptor, diffId: plain.hasher.digest() }, path };
}

function hashing(): { readonly hasher: Hasher; readonly through: Transform } {
  const hasher = new Hasher();
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hasher.update(chunk);
      done(null, chunk);
    },
  });
  return { hasher, through };
}
