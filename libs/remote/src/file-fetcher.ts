import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { BlobInfo, ContentStore } from '#content';
import { withoutCredentials } from '#graph';
import { type Digest, parseDigest } from '#oci';
import { type Bytes, type Clock, isKilnError, KilnError, retry } from '#std';
import { badStatus, noAnswer, RemoteError } from './remote-failure.ts';
import { type WebClient, type WebReply, webUrl } from './web-client.ts';

/** A file as a server gave it once, and how to ask whether it still is the same. */
export interface KnownFile extends BlobInfo {
  /** seconds since the epoch: Last-Modified, or 0 */
  readonly mtime: number;
  readonly etag?: string | undefined;
  /** as the server wrote it; only where it can be relied on to tell two versions apart */
  readonly lastModified?: string | undefined;
}

export interface FileRequest {
  readonly url: string;
  /** what is in the content store already */
  readonly known?: KnownFile | undefined;
  /** what it has to be */
  readonly checksum?: Digest | undefined;
}

export interface FetchedFile {
  readonly file: KnownFile;
  /** 0 where the known file is still the one */
  readonly receivedBytes: number;
}

export interface FileFetcherOptions {
  readonly web: WebClient;
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly limitBytes: number;
}

const ATTEMPTS = 3;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 4_000;
/** A file may change twice within a second of its Last-Modified, and nobody could tell. */
const SETTLED_MS = 2_000;

/** Brings files of the web into the content store; none whose server says that it has not changed. */
export class FileFetcher {
  readonly #options: FileFetcherOptions;

  constructor(options: FileFetcherOptions) {
    this.#options = options;
  }

  /**
   * @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED (a wrong checksum too), LIMIT_EXCEEDED, UPSTREAM_UNAVAILABLE; messages
   * name the URL without credentials
   */
  async fetch(request: FileRequest, signal: AbortSignal): Promise<FetchedFile> {
    const url = webUrl(request.url);
    return await retry(
      {
        attempts: ATTEMPTS,
        firstDelayMs: FIRST_DELAY_MS,
        maxDelayMs: MAX_DELAY_MS,
        clock: this.#options.clock,
        retryable: (thrown) => thrown instanceof RemoteError && thrown.transient,
        signal,
      },
      () => this.#once(url, request, signal),
    );
  }

  async #once(url: URL, { known, checksum }: FileRequest, signal: AbortSignal): Promise<FetchedFile> {
    const { web } = this.#options;
    const shown = withoutCredentials(url.href);
    const reply = await web.get(url, { 'accept-encoding': 'identity', ...conditionsOf(known) }, signal);
    if (known !== undefined && isSame(reply, known)) {
      // A server that ignores conditions sends the file nevertheless: it is not read.
      if (reply.status === 304) await reply.body.dump();
      else reply.body.destroy();
      return { file: known, receivedBytes: 0 };
    }
    if (reply.status < 200 || reply.status > 299 || reply.status === 206) {
      await reply.body.dump();
      throw badStatus(shown, reply.status);
    }
    const counted = { bytes: 0 };
    const blob = await this.#store(shown, this.#body(shown, reply, counted, signal), checksum, signal);
    return { file: { ...blob, ...this.#validators(reply) }, receivedBytes: counted.bytes };
  }

  async #store(shown: string, body: Bytes, checksum: Digest | undefined, signal: AbortSignal): Promise<BlobInfo> {
    const { content } = this.#options;
    if (checksum === undefined) return await content.put(body, undefined, signal);
    const hash = createHash('sha256');
    const hashed = async function* (): Bytes {
      for await (const chunk of body) {
        hash.update(chunk);
        yield chunk;
      }
    };
    try {
      return await content.put(hashed(), checksum, signal);
    } catch (thrown) {
      if (!isKilnError(thrown, 'BLOB_CORRUPT')) throw thrown;
      throw digestMismatch(shown, parseDigest(`sha256:${hash.digest('hex')}`), checksum);
    }
  }

  async *#body(shown: string, { headers, body }: WebReply, counted: { bytes: number }, signal: AbortSignal): Bytes {
    const { limitBytes } = this.#options;
    const tooLarge = (): KilnError =>
      new KilnError('LIMIT_EXCEEDED', `${shown} is larger than ${limitBytes} bytes`, {
        hint: 'fetch it in a RUN, or let the farm’s operator raise the limit (KILN_FETCH_MAX_BYTES)',
      });
    if (Number(headers['content-length']) > limitBytes) {
      body.destroy();
      throw tooLarge();
    }
    let size = 0;
    try {
      const received = async function* (): Bytes {
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          counted.bytes += chunk.byteLength;
          yield chunk;
        }
      };
      // It was not asked for, and some send it nevertheless.
      const plain = /^x?-?gzip$/.test(headers['content-encoding'] ?? '') ? gunzip(received()) : received();
      for await (const chunk of plain) {
        size += chunk.byteLength;
        if (size > limitBytes) throw tooLarge();
        yield chunk;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      throw isKilnError(thrown) ? thrown : noAnswer(shown, thrown);
    } finally {
      body.destroy();
    }
  }

  #validators({ headers }: WebReply): Pick<KnownFile, 'mtime' | 'etag' | 'lastModified'> {
    const { etag, 'last-modified': lastModified = '', date = '' } = headers;
    const modifiedMs = Date.parse(lastModified);
    if (Number.isNaN(modifiedMs)) return { mtime: 0, ...(etag === undefined ? {} : { etag }) };
    const nowMs = Number.isNaN(Date.parse(date)) ? this.#options.clock.nowMs() : Date.parse(date);
    return {
      mtime: Math.max(0, Math.floor(modifiedMs / 1000)),
      ...(etag === undefined ? {} : { etag }),
      ...(nowMs - modifiedMs < SETTLED_MS ? {} : { lastModified }),
    };
  }
}

/** Both digests by name, as the person who wrote the checksum needs them. */
export function digestMismatch(shown: string, actual: Digest, expected: Digest): KilnError {
  return new KilnError(
    'STEP_FAILED',
    `digest mismatch for ${shown}: it is ${actual}, and --checksum says ${expected}`,
    {
      hint: `if the file is the right one, write --checksum=${actual}`,
    },
  );
}

function conditionsOf(known: KnownFile | undefined): Readonly<Record<string, string>> {
  return {
    ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
    ...(known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }),
  };
}

function isSame({ status, headers }: WebReply, { etag }: KnownFile): boolean {
  if (status === 304) return true;
  return status === 200 && etag !== undefined && headers.etag !== undefined && opaque(headers.etag) === opaque(etag);
}

const opaque = (etag: string): string => etag.replace(/^W\//, '');

async function* gunzip(source: Bytes): Bytes {
  const plain = pipeline(Readable.from(source, { objectMode: false }), createGunzip(), () => {});
  for await (const chunk of plain as AsyncIterable<Uint8Array>) yield chunk;
}
