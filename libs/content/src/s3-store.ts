import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Digest, digestOf, Hasher, hexOf, isDigest } from '#oci';
import { type Bytes, KilnError, type Random, randomId, release } from '#std';
import { checkExpected } from './check-expected.ts';
import { forEachBounded } from './for-each.ts';
import { continued } from './s3-body.ts';
import { asking, isAbsent, isGone } from './s3-error.ts';
import { abandonUploads, copyLarge, COPY_LIMIT_BYTES, S3Upload } from './s3-upload.ts';
import type { BlobInfo, ContentStore, ListedBlob } from './store.ts';

export interface S3StoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** before every key: empty, or ends with a slash */
  readonly prefix: string;
  readonly random: Random;
  /** of a part of a large blob; S3 wants 5 MiB at least */
  readonly partBytes?: number | undefined;
  /** what one copy may hold; for tests */
  readonly copyLimitBytes?: number | undefined;
}

const PART_BYTES = 8 * 1024 * 1024;
const WIDTH = 32;
const REMOVE_BATCH = 1000;

/**
 * Blobs as objects of a bucket, `<prefix>sha256/ab/<64 digits>`. What is not known by its digest yet is staged under
 * `<prefix>uploads/` and copied by the server, so that nothing half or wrong ever has a blob's name. Needs no conditional
 * writes: two who put the same blob put the same bytes. Does not verify what it gives: see {@link verified}.
 */
export class S3ContentStore implements ContentStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #random: Random;
  readonly #partBytes: number;
  readonly #copyLimitBytes: number;

  constructor(options: S3StoreOptions) {
    this.#client = options.client;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix;
    this.#random = options.random;
    this.#partBytes = options.partBytes ?? PART_BYTES;
    this.#copyLimitBytes = options.copyLimitBytes ?? COPY_LIMIT_BYTES;
  }

  async *get(digest: Digest, signal?: AbortSignal): Bytes {
    signal?.throwIfAborted();
    const Key = this.#keyOf(digest);
    try {
      yield* continued(async (range) => {
        const input = { Bucket: this.#bucket, Key, ...range };
        return await asking(signal, (options) => this.#client.send(new GetObjectCommand(input), options));
      }, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      if (!isAbsent(cause)) throw cause;
      throw new KilnError('BLOB_MISSING', `blob ${digest} is not in the content store`, { cause });
    }
  }

  async put(source: Bytes, expected?: Digest, signal?: AbortSignal): Promise<BlobInfo> {
    const known = await this.#known(source, expected, signal);
    if (known !== undefined) return known;
    const stream = source[Symbol.asyncIterator]();
    const chunks: Uint8Array[] = [];
    let size = 0;
    try {
      while (size <= this.#partBytes) {
        const next = await stream.next();
        signal?.throwIfAborted();
        if (next.done === true) return await this.#putSmall(Buffer.concat(chunks), expected, signal);
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
      if ((await this.#sizeOf(digest, signal)) === undefined) missing.add(digest);
    });
    return missing;
  }

  async remove(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    await this.#removeKeys(
      [...digests].map((digest) => this.#keyOf(digest)),
      signal,
    );
  }

  async *list(signal?: AbortSignal): AsyncIterable<ListedBlob> {
    const root = `${this.#prefix}sha256/`;
    for await (const { key, sizeBytes, modifiedMs } of this.#listKeys(root, signal)) {
      const digest = `sha256:${key.slice(root.length + 3)}`;
      if (isDigest(digest)) yield { digest, sizeBytes, modifiedMs };
    }
  }

  async sweepTemporary(beforeMs: number, signal?: AbortSignal): Promise<number> {
    const stale: string[] = [];
    for await (const { key, modifiedMs } of this.#listKeys(`${this.#prefix}uploads/`, signal)) {
      if (modifiedMs < beforeMs) stale.push(key);
    }
    await this.#removeKeys(stale, signal);
    const uploads = { client: this.#client, bucket: this.#bucket, prefix: this.#prefix, before: beforeMs, signal };
    return stale.length + (await abandonUploads(uploads));
  }

  #keyOf(digest: Digest): string {
    const hex = hexOf(digest);
    return `${this.#prefix}sha256/${hex.slice(0, 2)}/${hex}`;
  }

  async #sizeOf(digest: Digest, signal: AbortSignal | undefined): Promise<number | undefined> {
    signal?.throwIfAborted();
    const input = { Bucket: this.#bucket, Key: this.#keyOf(digest) };
    try {
      const { ContentLength } = await asking(signal, (options) =>
        this.#client.send(new HeadObjectCommand(input), options),
      );
      return ContentLength ?? 0;
    } catch (thrown) {
      if (isAbsent(thrown)) return undefined;
      throw thrown;
    }
  }

  async #putSmall(bytes: Buffer, expected: Digest | undefined, signal: AbortSignal | undefined): Promise<BlobInfo> {
    const digest = digestOf(bytes);
    checkExpected(digest, expected);
    if ((await this.#sizeOf(digest, signal)) !== bytes.length) {
      const input = {
        Bucket: this.#bucket,
        Key: this.#keyOf(digest),
        Body: bytes,
        ContentLength: bytes.length,
        // The server checks what arrives, where it knows how.
        ChecksumSHA256: Buffer.from(hexOf(digest), 'hex').toString('base64'),
      };
      await asking(signal, (options) => this.#client.send(new PutObjectCommand(input), options));
    }
    return { digest, sizeBytes: bytes.length };
  }

  /** What is there already need not be read. */
  async #known(
    source: Bytes,
    expected: Digest | undefined,
    signal: AbortSignal | undefined,
  ): Promise<BlobInfo | undefined> {
    try {
      signal?.throwIfAborted();
      const sizeBytes = expected === undefined ? undefined : await this.#sizeOf(expected, signal);
      if (expected === undefined || sizeBytes === undefined) return undefined;
      await release(source);
      return { digest: expected, sizeBytes };
    } catch (thrown) {
      await release(source);
      throw thrown;
    }
  }

  /** Under its own name where that is known: it appears when the last part is there and the digest is right. */
  async #putLarge(
    begun: readonly Uint8Array[],
    rest: AsyncIterator<Uint8Array>,
    expected: Digest | undefined,
    signal: AbortSignal | undefined,
  ): Promise<BlobInfo> {
    const staged = expected === undefined ? `${this.#prefix}uploads/${randomId(this.#random, 20)}` : undefined;
    const key = expected === undefined ? `${staged}` : this.#keyOf(expected);
    const upload = await S3Upload.begin({
      client: this.#client,
      bucket: this.#bucket,
      key,
      partBytes: this.#partBytes,
      signal,
    });
    const hasher = new Hasher();
    try {
      const write = async (chunk: Uint8Array): Promise<void> => {
        signal?.throwIfAborted();
        hasher.update(chunk);
        await upload.write(chunk);
      };
      for (const chunk of begun) await write(chunk);
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) await write(next.value);
      signal?.throwIfAborted();
      const digest = hasher.digest();
      checkExpected(digest, expected);
      await upload.complete();
      const info = { digest, sizeBytes: hasher.sizeBytes };
      if (staged !== undefined) await this.#settle(staged, info, signal);
      return info;
    } catch (thrown) {
      await upload.abort();
      throw thrown;
    }
  }

  /** Gives a staged object its blob's name. */
  async #settle(staged: string, info: BlobInfo, signal: AbortSignal | undefined): Promise<void> {
    try {
      if ((await this.#sizeOf(info.digest, signal)) === info.sizeBytes) return;
      const input = { Bucket: this.#bucket, Key: this.#keyOf(info.digest), CopySource: this.#sourceOf(staged) };
      if (info.sizeBytes > this.#copyLimitBytes) {
        const limits = { partBytes: this.#copyLimitBytes, signal };
        await copyLarge({ client: this.#client, ...input, sizeBytes: info.sizeBytes, ...limits });
      } else {
        await asking(signal, (options) => this.#client.send(new CopyObjectCommand(input), options));
      }
    } finally {
      // Also after an abort: only what is left after a crash is the sweep's.
      await this.#removeKeys([staged], undefined).catch((thrown: unknown) => {
        if (!isGone(thrown)) throw thrown;
      });
    }
  }

  #sourceOf(key: string): string {
    return [this.#bucket, ...key.split('/')].map(encodeURIComponent).join('/');
  }

  async #removeKeys(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < keys.length; at += REMOVE_BATCH) {
      signal?.throwIfAborted();
      const Objects = keys.slice(at, at + REMOVE_BATCH).map((Key) => ({ Key }));
      const input = { Bucket: this.#bucket, Delete: { Objects, Quiet: true } };
      const { Errors = [] } = await asking(signal, (options) =>
        this.#client.send(new DeleteObjectsCommand(input), options),
      );
      const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
      if (first !== undefined) {
        throw new KilnError('UPSTREAM_UNAVAILABLE', `the object store did not remove ${first.Key}: ${first.Message}`);
      }
    }
  }

  async *#listKeys(
    Prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncIterable<{ readonly key: string; readonly sizeBytes: number; readonly modifiedMs: number }> {
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix })[
      Symbol.asyncIterator
    ]();
    for (;;) {
      signal?.throwIfAborted();
      const page = await asking(signal, () => pages.next());
      if (page.done === true) return;
      for (const { Key, Size = 0, LastModified } of page.value.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
    }
  }
}
