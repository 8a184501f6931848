import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type Digest, Hasher } from '#oci';
import { LAYER_FORMAT } from './layer-format.ts';
import { type LayerSource, layerTar } from './layer-tar.ts';

export interface WrittenLayer {
  /** of the tar */
  readonly diffId: Digest;
  /** of the compressed bytes */
  readonly digest: Digest;
  /** of the compressed bytes */
  readonly sizeBytes: number;
}

/** Writes a layer's blob to `file`; compression runs beside reading and hashing. See {@link layerTar} for failures. */
export async function writeLayer(source: LayerSource, file: string): Promise<WrittenLayer> {
  const tar = new Hasher();
  const blob = new Hasher();
  await pipeline(
    Readable.from(observed(layerTar(source), tar), { objectMode: false, highWaterMark: 1024 * 1024 }),
    // zlib writes no name and no time into the header.
    createGzip({ level: LAYER_FORMAT.level, chunkSize: 256 * 1024 }),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        blob.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, { mode: 0o600 }),
  );
  return { diffId: tar.digest(), sizeBytes: blob.sizeBytes, digest: blob.digest() };
}

function* observed(chunks: Iterable<Uint8Array>, hasher: Hasher): Generator<Uint8Array, void> {
  for (const chunk of chunks) {
    hasher.update(chunk);
    yield chunk;
  }
}
