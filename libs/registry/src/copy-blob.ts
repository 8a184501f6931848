import type { ContentStore } from '#content';
import type { Bytes } from '#std';
import { type BlobStreamOptions, streamBlob } from './blob-stream.ts';
import { WrongBytes } from './registry-error.ts';
import { pauseMs } from './retries.ts';

export interface BlobCopy extends BlobStreamOptions {
  readonly into: ContentStore;
  /** called with the size of each piece that arrives, those of attempts that fail too */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

const ATTEMPTS = 3;

/** Brings a blob into a content store. Bytes that turn out to be wrong are asked for again, of somebody else where there is one. */
export async function copyBlob(copy: BlobCopy): Promise<void> {
  const { into, descriptor, clock, random, signal } = copy;
  for (let attempt = 1; ; attempt++) {
    const arriving = new Arriving(copy);
    try {
      await into.put(arriving.bytes(), descriptor.digest, signal);
      return;
    } catch (thrown) {
      if (arriving.wrong === undefined) throw thrown;
      if (attempt === ATTEMPTS) throw arriving.wrong;
      await clock.sleep(pauseMs(attempt, random), signal);
    }
  }
}

/** Remembers that the bytes were wrong, whatever the store makes of it. */
class Arriving {
  wrong: WrongBytes | undefined;

  constructor(readonly copy: BlobCopy) {}

  async *bytes(): Bytes {
    try {
      for await (const chunk of streamBlob(this.copy)) {
        this.copy.onBytes?.(chunk.byteLength);
        yield chunk;
      }
    } catch (thrown) {
      if (thrown instanceof WrongBytes) this.wrong = thrown;
      throw thrown;
    }
  }
}
