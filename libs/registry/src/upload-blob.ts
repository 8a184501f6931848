import { isKilnError, KilnError, type Bytes } from '#std';
import type { Descriptor } from '#oci';
import type { Reply } from './http.ts';
import { type BlobPush, pushScopes } from './blob-push.ts';
import { RegistryError } from './registry-error.ts';
import { pauseMs } from './retries.ts';

/** Up to here a blob goes up in one request, and anew when that breaks. */
const WHOLE_BYTES = 8 * 1024 * 1024;
/** What a proxy takes that refused a whole blob. */
const CHUNK_BYTES = 32 * 1024 * 1024;
/** In a row, without a byte between them. */
const BREAKS_MAX = 4;
/** Registries on object stores copy and digest a blob before they answer. */
const COMMIT_TIMEOUT_MS = 5 * 60_000;

/**
 * Sends a blob into an upload that was begun, and closes it under its digest. Large blobs go as one PATCH, in chunks where
 * that is refused for its size; a transfer that breaks goes on where the registry says that it is.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs
 */
export async function uploadBlob(push: BlobPush, begun: Reply): Promise<void> {
  const { requests, endpoint, descriptor } = push;
  const session = { url: requests.transport.locate(endpoint, begun) };
  await using source = new BlobSource(push.open, descriptor);
  try {
    if (descriptor.size <= WHOLE_BYTES) return await close(push, session.url, source);
    await sendParts(push, session, source, Number(begun.headers['oci-chunk-min-length'] ?? 0));
    await close(push, session.url, undefined);
  } catch (thrown) {
    await discard(push, session.url);
    // The registry was there a moment ago: an upload's session that it lost is begun anew.
    if (!isKilnError(thrown, 'IMAGE_NOT_FOUND')) throw thrown;
    throw new RegistryError('REGISTRY_FAILED', thrown.message, { cause: thrown, transient: true });
  }
}

/** @param session where to go on; changes with each answer */
async function sendParts(push: BlobPush, session: { url: URL }, source: BlobSource, least: number): Promise<void> {
  const { descriptor, clock, random, signal, requests, endpoint } = push;
  const { digest, size } = descriptor;
  let chunkBytes = size;
  let offset = 0;
  for (let breaks = 0; offset < size; ) {
    const from = offset;
    const to = Math.min(from + chunkBytes, size);
    const whole = from === 0 && to === size;
    try {
      const reply = await requests.ask(
        {
          endpoint,
          method: 'PATCH',
          target: session.url,
          scopes: pushScopes(endpoint),
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(to - from),
            ...(whole ? {} : { 'content-range': `${from}-${to - 1}` }),
          },
          body: () => source.slice(from, to),
          signal,
          headersTimeoutMs: COMMIT_TIMEOUT_MS,
        },
        { subject: `the upload of ${digest} to ${endpoint.repository}`, kind: 'upload', expect: [202, 201, 204, 413] },
      );
      await reply.body.dump();
      if (reply.status !== 413) {
        session.url = requests.transport.locate(endpoint, reply);
        offset = to;
        breaks = 0;
        continue;
      }
      const smaller = Math.max(CHUNK_BYTES, least);
      if (chunkBytes <= smaller) {
        throw new RegistryError('REGISTRY_DENIED', `${endpoint.host} takes no ${chunkBytes} bytes in one request`);
      }
      chunkBytes = smaller;
    } catch (thrown) {
      if (!(thrown instanceof RegistryError) || !thrown.transient || ++breaks > BREAKS_MAX) throw thrown;
      await clock.sleep(thrown.retryAfterMs ?? pauseMs(breaks, random), signal);
    }
    const received = await position(push, session);
    if (received > from) breaks = 0;
    if (received > size) throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} has more than it was sent`);
    offset = received;
  }
}

/** How many bytes the registry has of an upload. */
async function position({ requests, endpoint, signal }: BlobPush, session: { url: URL }): Promise<number> {
  const reply = await requests.ask(
    { endpoint, method: 'GET', target: session.url, scopes: pushScopes(endpoint), signal },
    { subject: `an upload to ${endpoint.repository}`, kind: 'upload', expect: [204, 200, 202] },
  );
  await reply.body.dump();
  if (reply.headers.location !== undefined) session.url = requests.transport.locate(endpoint, reply);
  const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(String(reply.headers.range ?? '')) ?? [];
  // `0-0` is also what registries say of nothing.
  return last === undefined || last === '0' ? 0 : Number(last) + 1;
}

/** Names the upload; with a source, sends all of it too. */
async function close(push: BlobPush, url: URL, source: BlobSource | undefined): Promise<void> {
  const { requests, endpoint, descriptor, signal } = push;
  const { digest, size } = descriptor;
  const target = new URL(url);
  target.searchParams.set('digest', digest);
  const headers =
    source === undefined
      ? { 'content-length': '0' }
      : { 'content-type': 'application/octet-stream', 'content-length': String(size) };
  const body = source === undefined ? (): Uint8Array => Buffer.alloc(0) : (): Bytes => source.slice(0, size);
  const reply = await requests.ask(
    {
      endpoint,
      method: 'PUT',
      target,
      scopes: pushScopes(endpoint),
      headers,
      body,
      signal,
      headersTimeoutMs: COMMIT_TIMEOUT_MS,
    },
    { subject: `the upload of ${digest} to ${endpoint.repository}`, kind: 'upload', expect: [201, 204] },
  );
  await reply.body.dump();
}

/** Tells the registry that nobody goes on with an upload: it need not keep the bytes. Whether it hears that does not matter. */
async function discard({ requests, endpoint }: BlobPush, target: URL): Promise<void> {
  try {
    const signal = AbortSignal.timeout(2_000);
    const reply = await requests.transport.send({
      endpoint,
      method: 'DELETE',
      target,
      scopes: pushScopes(endpoint),
      signal,
    });
    await reply.body.dump();
  } catch {
    // It forgets by itself.
  }
}

/** A blob that can be read from anywhere: onwards from where it is, or opened anew. */
class BlobSource implements AsyncDisposable {
  readonly #open: () => Bytes;
  readonly #descriptor: Descriptor;
  #stream: AsyncIterator<Uint8Array> | undefined;
  #at = 0;
  #left: Uint8Array = Buffer.alloc(0);

  constructor(open: () => Bytes, descriptor: Descriptor) {
    this.#open = open;
    this.#descriptor = descriptor;
  }

  /**
   * Bytes from an offset to another one; the last slice checks that there are no more.
   * @throws KilnError BLOB_CORRUPT when the blob is shorter or longer than its descriptor
   */
  async *slice(from: number, to: number): Bytes {
    if (this.#stream === undefined || from !== this.#at) await this.#seek(from);
    while (this.#at < to) {
      const chunk = await this.#next();
      if (chunk === undefined) throw this.#wrongSize();
      const piece = chunk.subarray(0, to - this.#at);
      this.#left = chunk.subarray(piece.byteLength);
      this.#at += piece.byteLength;
      yield piece;
    }
    if (to === this.#descriptor.size && (await this.#next()) !== undefined) throw this.#wrongSize();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.return?.();
  }

  async #seek(offset: number): Promise<void> {
    await this.#stream?.return?.();
    this.#stream = this.#open()[Symbol.asyncIterator]();
    this.#left = Buffer.alloc(0);
    for (this.#at = 0; this.#at < offset; ) {
      const chunk = await this.#next();
      if (chunk === undefined) throw this.#wrongSize();
      const skipped = Math.min(chunk.byteLength, offset - this.#at);
      this.#left = chunk.subarray(skipped);
      this.#at += skipped;
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    const left = this.#left;
    if (left.byteLength > 0) {
      this.#left = Buffer.alloc(0);
      return left;
    }
    for (;;) {
      const next = await this.#stream?.next();
      if (next === undefined || next.done === true) return undefined;
      if (next.value.byteLength > 0) return next.value;
    }
  }

  /** Our own fault, not the registry's. */
  #wrongSize(): KilnError {
    const { digest, size } = this.#descriptor;
    return new KilnError('BLOB_CORRUPT', `the blob ${digest} is not ${size} bytes long`);
  }
}
