import type { Transform } from 'node:stream';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { ContentStore } from '#content';
import { type Compression, Hasher, type Layer, mediaType } from '#oci';
import { type Bytes, messageOf } from '#std';
import { rewriteTar } from '#tar';

/** What a layer becomes for an output. */
export interface LayerConversion {
  readonly compression: Compression;
  /** of the compressor; its own default by default */
  readonly level?: number | undefined;
  /** seconds since the epoch: later mtimes become this */
  readonly epoch?: number | undefined;
}

export interface ConvertOptions extends LayerConversion {
  /** the layer's tar, verified */
  readonly tar: Bytes;
  readonly content: ContentStore;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal: AbortSignal;
}

const CHUNK_BYTES = 256 * 1024;
/** What gzip, BuildKit and containerd compress with. */
const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;

/**
 * A layer compressed anew into the content store: the same bytes for the same tar. Streamed; compression runs in Node's
 * own threads.
 * @throws KilnError what `tar` and the store throw
 */
export async function convertLayer(options: ConvertOptions): Promise<Layer> {
  const { tar, content, compression, level, epoch, onBytes, signal } = options;
  const source =
    epoch === undefined
      ? tar
      : rewriteTar(tar, { change: (header) => ({ ...header, mtime: Math.min(header.mtime, epoch) }) });
  const hasher = new Hasher();
  const observed = async function* (): Bytes {
    for await (const chunk of source) {
      hasher.update(chunk);
      onBytes?.(chunk.byteLength);
      yield chunk;
    }
  };
  const { digest, sizeBytes } = await content.put(compressed(observed(), compression, level), undefined, signal);
  return { descriptor: { mediaType: layerType[compression], digest, size: sizeBytes }, diffId: hasher.digest() };
}

const layerType: Readonly<Record<Compression, string>> = {
  none: mediaType.ociLayer,
  gzip: mediaType.ociLayerGzip,
  zstd: mediaType.ociLayerZstd,
};

async function* compressed(source: Bytes, compression: Compression, level: number | undefined): Bytes {
  if (compression === 'none') {
    yield* source;
    return;
  }
  const pack = compressor(compression, level);
  void feed(source, pack);
  try {
    yield* pack as AsyncIterable<Uint8Array>;
  } finally {
    pack.destroy();
  }
}

/**
 * Each piece when the last one is taken, and the end after all: Node adds an empty frame where zstd's last piece and the end
 * meet, and so would give other bytes on a slow machine than on a fast one. A failure ends the reader's iteration.
 */
async function feed(source: Bytes, pack: Transform): Promise<void> {
  try {
    for await (const chunk of source) {
      await new Promise<void>((resolve, reject) => {
        pack.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    pack.end();
  } catch (thrown) {
    pack.destroy(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
  }
}

function compressor(compression: 'gzip' | 'zstd', level: number | undefined): Transform {
  if (compression === 'gzip') return createGzip({ level: level ?? GZIP_LEVEL, chunkSize: CHUNK_BYTES });
  const params = { [constants.ZSTD_c_compressionLevel]: level ?? ZSTD_LEVEL };
  return createZstdCompress({ params, chunkSize: CHUNK_BYTES });
}
