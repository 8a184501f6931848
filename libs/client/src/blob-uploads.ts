import { changedFile, type LocalFile, readLocalFile } from '#context';
import { type Digest, digestOf } from '#oci';
import { MissingBlobs, PACK_TYPE, StoredBlob, StoredBlobs } from '#protocol';
import { isKilnError, KilnError } from '#std';
import pLimit from 'p-limit';
import type { Connection } from './connection.ts';
import { compressed, readPack, type WantedFile } from './file-pack.ts';

/** Larger files travel alone. */
export const LARGE_BYTES = 1024 * 1024;
/** Larger ones in parts of this size, so that what was sent once stays sent. */
const PART_BYTES = 8 * 1024 * 1024;
/** Of one pack; less is in memory for each upload under way. */
export const PACK_BYTES = 4 * 1024 * 1024;
/** Uploads at a time. */
const WIDTH = 4;
/** The farm digests a whole large file before it answers. */
const ANSWER_MS = 15 * 60_000;
/** Of a large file whose parts the farm loses meanwhile. */
const ATTEMPTS = 2;

export interface UploadOptions {
  readonly connection: Connection;
  /** told of bytes on the wire that the farm has taken */
  readonly onWire: (bytes: number) => void;
}

/** Sends files to a farm: a few uploads at a time, each tried again while the farm is away for a moment. */
export class BlobUploads {
  readonly #connection: Connection;
  readonly #onWire: (bytes: number) => void;
  readonly #limit = pLimit(WIDTH);

  constructor({ connection, onWire }: UploadOptions) {
    this.#connection = connection;
    this.#onWire = onWire;
  }

  /**
   * Small files in one pack.
   * @throws KilnError CONTEXT_INVALID naming a file that is not what it was; what the farm says
   */
  async pack(wanted: readonly WantedFile[], signal: AbortSignal): Promise<void> {
    await this.#limit(async () => {
      signal.throwIfAborted();
      const body = await compressed(readPack(wanted));
      await this.#connection.retrying(signal, () =>
        this.#connection.json(StoredBlobs, {
          method: 'POST',
          path: '/v1/blobs',
          headers: { 'content-type': PACK_TYPE },
          body,
          signal,
          answerMs: ANSWER_MS,
        }),
      );
      this.#onWire(body.byteLength);
    });
  }

  /**
   * A large file, in parts if need be; of those only what the farm has not.
   * @throws KilnError CONTEXT_INVALID when it is not what it was; what the farm says
   */
  async large({ digest, file }: WantedFile, signal: AbortSignal): Promise<void> {
    if (file.sizeBytes <= PART_BYTES) {
      await this.#limit(async () => {
        signal.throwIfAborted();
        const bytes = await readLocalFile(file);
        if (digestOf(bytes) !== digest) throw changedFile(file.path);
        await this.#put(digest, bytes, signal);
      });
      return;
    }
    for (let attempt = 1; ; attempt++) {
      const parts = await this.#parts(file, signal);
      try {
        return await this.#join(digest, parts, signal);
      } catch (thrown) {
        // The farm has put it together of what it had been told to be the parts.
        if (isKilnError(thrown, 'CONTEXT_INVALID')) throw changedFile(file.path);
        if (!isKilnError(thrown, 'NOT_FOUND', 'BLOB_MISSING') || attempt === ATTEMPTS) throw thrown;
      }
    }
  }

  async #parts(file: LocalFile, signal: AbortSignal): Promise<readonly Digest[]> {
    const starts = Array.from({ length: Math.ceil(file.sizeBytes / PART_BYTES) }, (_, index) => index * PART_BYTES);
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const sent = starts.map((start) =>
      this.#limit(async () => {
        either.throwIfAborted();
        const bytes = await readLocalFile(file, start, PART_BYTES);
        const digest = digestOf(bytes);
        if (await this.#lacks(digest, either)) await this.#put(digest, bytes, either);
        return digest;
      }).catch((thrown: unknown) => {
        failed.abort(thrown);
        throw thrown;
      }),
    );
    await Promise.allSettled(sent);
    signal.throwIfAborted();
    failed.signal.throwIfAborted();
    return await Promise.all(sent);
  }

  async #lacks(digest: Digest, signal: AbortSignal): Promise<boolean> {
    const { missing } = await this.#connection.retrying(signal, () =>
      this.#connection.json(MissingBlobs, {
        method: 'POST',
        path: '/v1/blobs/missing',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ digests: [digest] }),
        signal,
      }),
    );
    return missing.length > 0;
  }

  async #put(digest: Digest, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { sizeBytes } = await this.#blob(digest, bytes, 'application/octet-stream', signal);
    if (sizeBytes !== bytes.byteLength)
      throw new KilnError('INTERNAL', `the farm took ${sizeBytes} bytes of ${digest}`);
    this.#onWire(bytes.byteLength);
  }

  async #join(digest: Digest, parts: readonly Digest[], signal: AbortSignal): Promise<void> {
    await this.#blob(digest, JSON.stringify({ parts }), 'application/json', signal);
  }

  #blob(digest: Digest, body: Buffer | string, type: string, signal: AbortSignal): Promise<StoredBlob> {
    return this.#connection.retrying(signal, () =>
      this.#connection.json(StoredBlob, {
        method: 'PUT',
        path: `/v1/blobs/${digest}`,
        headers: { 'content-type': type },
        body,
        signal,
        answerMs: ANSWER_MS,
      }),
    );
  }
}
