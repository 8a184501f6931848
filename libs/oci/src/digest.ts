import { createHash, hash, type Hash } from 'node:crypto';
import { type Brand, KilnError } from '#std';

/** `sha256:` and 64 lower-case hexadecimal digits. Only {@link parseDigest} and the hashers make one. */
export type Digest = Brand<`sha256:${string}`, 'Digest'>;

export const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text);
}

/** @throws KilnError INVALID_ARGUMENT */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new KilnError('INVALID_ARGUMENT', `not a sha256 digest: ${JSON.stringify(text)}`);
  return text;
}

/** The digest of bytes at hand, or of a text's UTF-8. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}` as Digest;
}

/** Digest and size of a stream, as its chunks pass. */
export class Hasher {
  readonly #hash: Hash = createHash('sha256');
  #sizeBytes = 0;

  update(chunk: Uint8Array): this {
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.byteLength;
    return this;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Ends the hasher. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}

/** The 64 hexadecimal digits. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
