import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { KilnError } from '#std';
import { asking, isAbsent } from './s3-error.ts';

/** What S3 copies in one request. */
export const COPY_LIMIT_BYTES = 5 * 1024 ** 3;
const PARTS_MAX = 10_000;
/** Parts under way at a time; with the one that is being filled, what an upload holds in memory. */
const WINDOW = 3;

interface Target {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly signal: AbortSignal | undefined;
}

/** One multipart upload: appears when it is completed, leaves nothing when it is aborted. */
export class S3Upload {
  readonly #target: Target;
  readonly #partBytes: number;
  readonly #id: string;
  readonly #done: CompletedPart[] = [];
  #completed = false;
  readonly #sending = new Set<Promise<void>>();
  #filling: Uint8Array[] = [];
  #filled = 0;
  #parts = 0;
  #failure: { readonly thrown: unknown } | undefined;

  private constructor(target: Target, partBytes: number, id: string) {
    this.#target = target;
    this.#partBytes = partBytes;
    this.#id = id;
  }

  static async begin({ partBytes, ...target }: Target & { readonly partBytes: number }): Promise<S3Upload> {
    return new S3Upload(target, partBytes, await beginUpload(target));
  }

  /** Resolves when there is room for more. @throws KilnError UPSTREAM_UNAVAILABLE, LIMIT_EXCEEDED */
  async write(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.byteLength > 0; ) {
      const piece = rest.subarray(0, this.#partBytes - this.#filled);
      rest = rest.subarray(piece.byteLength);
      this.#filling.push(piece);
      this.#filled += piece.byteLength;
      if (this.#filled === this.#partBytes) await this.#send();
    }
  }

  async complete(): Promise<void> {
    if (this.#filled > 0) await this.#send();
    await Promise.all(this.#sending);
    this.#check();
    const { bucket, key } = this.#target;
    await completeUpload(this.#target, { Bucket: bucket, Key: key, UploadId: this.#id }, this.#done);
    this.#completed = true;
  }

  /** Nothing once it is completed. Never throws: what cannot be removed now is found by the sweep. */
  async abort(): Promise<void> {
    await Promise.all(this.#sending);
    if (this.#completed) return;
    await abortUpload(this.#target, this.#id).catch(() => undefined);
  }

  async #send(): Promise<void> {
    const number = ++this.#parts;
    if (number > PARTS_MAX) {
      throw new KilnError('LIMIT_EXCEEDED', `a blob cannot be larger than ${PARTS_MAX * this.#partBytes} bytes`);
    }
    // Copied: the source may use its buffers again.
    const body = Buffer.concat(this.#filling);
    this.#filling = [];
    this.#filled = 0;
    const sending = this.#sendPart(number, body).then(
      (part) => void this.#done.push(part),
      (thrown: unknown) => void (this.#failure ??= { thrown }),
    );
    this.#sending.add(sending);
    void sending.then(() => this.#sending.delete(sending));
    while (this.#sending.size >= WINDOW) await Promise.race(this.#sending);
    this.#check();
  }

  async #sendPart(PartNumber: number, Body: Buffer): Promise<CompletedPart> {
    const { client, bucket: Bucket, key: Key, signal } = this.#target;
    const input = { Bucket, Key, UploadId: this.#id, PartNumber, Body, ContentLength: Body.length };
    const { ETag } = await asking(signal, (options) => client.send(new UploadPartCommand(input), options));
    return { PartNumber, ETag };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}

export interface LargeCopy {
  readonly client: S3Client;
  readonly Bucket: string;
  readonly Key: string;
  readonly CopySource: string;
  readonly sizeBytes: number;
  readonly partBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** Copies what one request cannot, by ranges. */
export async function copyLarge(copy: LargeCopy): Promise<void> {
  const { client, Bucket, Key, CopySource, sizeBytes, partBytes, signal } = copy;
  const target = { client, bucket: Bucket, key: Key, signal };
  const UploadId = await beginUpload(target);
  try {
    const parts: CompletedPart[] = [];
    for (let at = 0; at < sizeBytes; at += partBytes) {
      const PartNumber = parts.length + 1;
      const CopySourceRange = `bytes=${at}-${Math.min(at + partBytes, sizeBytes) - 1}`;
      const input = { Bucket, Key, UploadId, CopySource, CopySourceRange, PartNumber };
      const { CopyPartResult } = await asking(signal, (options) =>
        client.send(new UploadPartCopyCommand(input), options),
      );
      parts.push({ PartNumber, ETag: CopyPartResult?.ETag });
    }
    await completeUpload(target, { Bucket, Key, UploadId }, parts);
  } catch (thrown) {
    await abortUpload(target, UploadId).catch(() => undefined);
    throw thrown;
  }
}

export interface AbandonedUploads {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  /** ms since the epoch: what was begun earlier is aborted */
  readonly before: number;
  readonly signal: AbortSignal | undefined;
}

/** Aborts uploads that nobody finishes any more. Answers how many. */
export async function abandonUploads({ client, bucket, prefix, before, signal }: AbandonedUploads): Promise<number> {
  let aborted = 0;
  let markers: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (;;) {
    const input = { Bucket: bucket, Prefix: prefix, ...markers };
    const page = await asking(signal, (options) => client.send(new ListMultipartUploadsCommand(input), options));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || (Initiated?.getTime() ?? 0) >= before) continue;
      await abortUpload({ client, bucket, key: Key, signal }, UploadId);
      aborted++;
    }
    if (page.IsTruncated !== true) return aborted;
    markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

async function beginUpload({ client, bucket, key, signal }: Target): Promise<string> {
  const { UploadId } = await asking(signal, (options) =>
    client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }), options),
  );
  if (UploadId !== undefined) return UploadId;
  throw new KilnError('UPSTREAM_UNAVAILABLE', 'the object store began an upload without a name');
}

async function completeUpload(
  { client, signal }: Target,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  parts: readonly CompletedPart[],
): Promise<void> {
  const Parts = parts.toSorted((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  const input = { ...upload, MultipartUpload: { Parts } };
  await asking(signal, (options) => client.send(new CompleteMultipartUploadCommand(input), options));
}

/** Not under the signal: what was aborted has to be cleared too. */
async function abortUpload({ client, bucket, key }: Target, UploadId: string): Promise<void> {
  const input = { Bucket: bucket, Key: key, UploadId };
  await asking(undefined, (options) => client.send(new AbortMultipartUploadCommand(input), options)).catch(
    (thrown: unknown) => {
      if (!isAbsent(thrown)) throw thrown;
    },
  );
}
