import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, Hasher, hexOf, isDigest } from '#oci';
import { type Bytes, KilnError, type Random, randomId, release, systemCode } from '#std';
import { checkExpected } from './check-expected.ts';
import { forEachBounded } from './for-each.ts';
import type { BlobInfo, ContentStore, ListedBlob } from './store.ts';

export interface FolderStoreOptions {
  readonly root: string;
  readonly random: Random;
  /**
   * Whether a blob is on the disk before `put` resolves. Without, a loss of power can leave a blob cut short: it is found
   * corrupt when it is read, and is a miss. Off by default: 20,000 small files take seconds, not minutes.
   */
  readonly durable?: boolean | undefined;
  /** Whether damaged blobs stay where they are when a read has found them. */
  readonly leaveDamaged?: boolean | undefined;
}

const CHUNK_BYTES = 256 * 1024;
/** Up to here a blob is held in memory, and written only when it is new. */
const SMALL_BYTES = 64 * 1024;
const WIDTH = 16;

const absent = (thrown: unknown): boolean => systemCode(thrown) === 'ENOENT';

/**
 * Blobs as files, `<root>/sha256/ab/<64 digits>`, verified on the way in and on the way out. A blob is written under
 * `<root>/tmp` and renamed, so that nothing half is ever visible, and two who put the same blob both win. Several
 * processes may share a folder.
 */
export class FolderContentStore implements ContentStore {
  readonly #root: string;
  /** tells this writer's temporary files from those of other processes; asking for randomness per file costs as much as the file */
  readonly #writer: string;
  #written = 0;
  readonly #durable: boolean;
  readonly #leaveDamaged: boolean;
  readonly #folders = new Map<string, Promise<unknown>>();

  constructor({ root, random, durable = false, leaveDamaged = false }: FolderStoreOptions) {
    this.#root = root;
    this.#writer = randomId(random, 20);
    this.#durable = durable;
    this.#leaveDamaged = leaveDamaged;
  }

  async *get(digest: Digest, signal?: AbortSignal): Bytes {
    signal?.throwIfAborted();
    const path = this.#pathOf(digest);
    const file = await open(path, 'r').catch((cause: unknown) => {
      if (!absent(cause)) throw cause;
      throw new KilnError('BLOB_MISSING', `blob ${digest} is not in the content store`, { cause });
    });
    try {
      const { size, ino } = await file.stat();
      const hasher = new Hasher();
      for (let offset = 0; offset < size; ) {
        signal?.throwIfAborted();
        const { buffer, bytesRead } = await file.read(
          Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - offset)),
          0,
          null,
          offset,
        );
        if (bytesRead === 0) break;
        offset += bytesRead;
        const chunk = buffer.subarray(0, bytesRead);
        hasher.update(chunk);
        yield chunk;
      }
      if (hasher.digest() !== digest) {
        if (this.#leaveDamaged) throw new KilnError('BLOB_CORRUPT', `blob ${digest} is damaged on disk`);
        await this.#removeDamaged(path, ino);
        throw new KilnError('BLOB_CORRUPT', `blob ${digest} was damaged on disk and has been removed`);
      }
    } finally {
      await file.close();
    }
  }

  async put(source: Bytes, expected?: Digest, signal?: AbortSignal): Promise<BlobInfo> {
    if (signal?.aborted === true) await release(source);
    signal?.throwIfAborted();
    const chunks: Uint8Array[] = [];
    let size = 0;
    const stream = source[Symbol.asyncIterator]();
    try {
      while (size <= SMALL_BYTES) {
        const next = await stream.next();
        signal?.throwIfAborted();
        if (next.done === true) return await this.#putSmall(Buffer.concat(chunks), expected);
        chunks.push(next.value);
        size += next.value.byteLength;
      }
      return await this.#putLarge(chunks, stream, expected, signal);
    } finally {
      await stream.return?.();
    }
  }

  async findMissing(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<ReadonlySet<Digest>> {
    const missing = new Set<Digest>();
    await forEachBounded(digests, WIDTH, async (digest) => {
      signal?.throwIfAborted();
      if ((await this.#sizeOf(digest)) === undefined) missing.add(digest);
    });
    return missing;
  }

  async *list(signal?: AbortSignal): AsyncIterable<ListedBlob> {
    const root = join(this.#root, 'sha256');
    for (const folder of (await namesIn(root)).toSorted()) {
      for (const name of (await namesIn(join(root, folder))).toSorted()) {
        signal?.throwIfAborted();
        const digest = `sha256:${name}`;
        if (!isDigest(digest)) continue;
        const found = await statIfThere(this.#pathOf(digest));
        if (found !== undefined) yield { digest, sizeBytes: found.size, modifiedMs: found.mtimeMs };
      }
    }
  }

  async remove(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    await forEachBounded(digests, WIDTH, async (digest) => {
      signal?.throwIfAborted();
      await removeFile(this.#pathOf(digest));
    });
  }

  async sweepTemporary(beforeMs: number, signal?: AbortSignal): Promise<number> {
    const folder = join(this.#root, 'tmp');
    let removed = 0;
    await forEachBounded(await namesIn(folder), WIDTH, async (name) => {
      signal?.throwIfAborted();
      const path = join(folder, name);
      const found = await statIfThere(path);
      // Somebody still writes what is young.
      if (found === undefined || found.mtimeMs >= beforeMs) return;
      await removeFile(path);
      removed++;
    });
    return removed;
  }

  #pathOf(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#root, 'sha256', hex.slice(0, 2), hex);
  }

  async #sizeOf(digest: Digest): Promise<number | undefined> {
    return (await statIfThere(this.#pathOf(digest)))?.size;
  }

  async #putSmall(bytes: Buffer, expected: Digest | undefined): Promise<BlobInfo> {
    const digest = digestOf(bytes);
    checkExpected(digest, expected);
    if ((await this.#sizeOf(digest)) !== bytes.length) {
      await this.#commit(async (file) => {
        if (bytes.length > 0) await file.writeFile(bytes);
        return digest;
      });
    }
    return { digest, sizeBytes: bytes.length };
  }

  async #putLarge(
    begun: readonly Uint8Array[],
    rest: AsyncIterator<Uint8Array>,
    expected: Digest | undefined,
    signal: AbortSignal | undefined,
  ): Promise<BlobInfo> {
    const hasher = new Hasher();
    const digest = await this.#commit(async (file) => {
      const write = async (chunk: Uint8Array): Promise<void> => {
        signal?.throwIfAborted();
        hasher.update(chunk);
        await file.writeFile(chunk);
      };
      for (const chunk of begun) await write(chunk);
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) await write(next.value);
      signal?.throwIfAborted();
      const found = hasher.digest();
      checkExpected(found, expected);
      return found;
    });
    return { digest, sizeBytes: hasher.sizeBytes };
  }

  /** Writes a temporary file and gives it the name that `write` answers; on any failure nothing stays. */
  async #commit(write: (file: FileHandle) => Promise<Digest>): Promise<Digest> {
    await this.#makeFolder(join(this.#root, 'tmp'));
    const temporary = join(this.#root, 'tmp', `${this.#writer}-${++this.#written}`);
    const file = await open(temporary, 'wx', 0o600);
    try {
      let digest: Digest;
      try {
        digest = await write(file);
        if (this.#durable) await file.sync();
      } finally {
        await file.close();
      }
      const path = this.#pathOf(digest);
      await this.#makeFolder(join(path, '..'));
      await rename(temporary, path);
      if (this.#durable) await syncFolder(join(path, '..'));
      return digest;
    } catch (thrown) {
      await removeFile(temporary);
      throw thrown;
    }
  }

  #makeFolder(path: string): Promise<unknown> {
    const made = this.#folders.get(path) ?? mkdir(path, { recursive: true, mode: 0o700 });
    this.#folders.set(path, made);
    // A failure is told to who asked; the next one tries again.
    made.catch(() => this.#folders.delete(path));
    return made;
  }

  async #removeDamaged(path: string, ino: number): Promise<void> {
    // Somebody may have repaired it meanwhile.
    const now = await statIfThere(path);
    if (now?.ino === ino) await removeFile(path);
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  return await stat(path).catch((thrown: unknown) => {
    if (absent(thrown)) return undefined;
    throw thrown;
  });
}

async function namesIn(path: string): Promise<readonly string[]> {
  return await readdir(path).catch((thrown: unknown) => {
    if (absent(thrown)) return [];
    throw thrown;
  });
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((thrown: unknown) => {
    if (!absent(thrown)) throw thrown;
  });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
