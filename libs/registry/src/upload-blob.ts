import { isKilnError, type Bytes } from '#std';
import { type BlobPush, pushScopes } from './blob-push.ts';
import { BlobSource } from './blob-source.ts';
import { headBlob } from './head-blob.ts';
import type { Reply } from './http.ts';
import { RegistryError } from './registry-error.ts';
import { waitMs, withRetries } from './retries.ts';

/** Up to here a blob goes up in one request, and anew when that breaks. */
const WHOLE_BYTES = 8 * 1024 * 1024;
/** What a proxy takes that refused a whole blob. */
const CHUNK_BYTES = 32 * 1024 * 1024;
/** In a row, without a byte between them. */
const BREAKS_MAX = 4;
/** How often it is asked how far an upload is. */
const ASKS_MAX = 3;
/** Not every proxy says that a request is too large: some just hang up. */
const BREAKS_OF_A_WHOLE = 2;
/** Registries on object stores copy and digest a blob before they answer. */
const COMMIT_TIMEOUT_MS = 5 * 60_000;

/** An upload that a registry has begun. */
interface Session {
  /** where to go on; changes with each answer */
  url: URL;
  /** what a chunk must have at least, the last one excepted */
  readonly leastBytes: number;
}

/** `to` is the first byte that does not belong to it. */
interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Sends a blob into an upload that was begun, and closes it under its digest. Large blobs go as one PATCH, in chunks where
 * that is refused for its size; a transfer that breaks goes on where the registry says that it is.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs
 */
export async function uploadBlob(push: BlobPush, begun: Reply): Promise<void> {
  const { requests, endpoint, descriptor } = push;
  const least = String(begun.headers['oci-chunk-min-length'] ?? '');
  const session: Session = {
    url: requests.transport.locate(endpoint, begun),
    leastBytes: /^\d{1,12}$/.test(least) ? Number(least) : 0,
  };
  await using source = new BlobSource(push.open, descriptor);
  try {
    if (descriptor.size <= WHOLE_BYTES) await close(push, session.url, source);
    else await sendParts(push, session, source);
  } catch (thrown) {
    await discard(push, session.url);
    throw isKilnError(thrown, 'IMAGE_NOT_FOUND') ? lost(push, thrown) : thrown;
  }
}

/** Until the registry has the blob under its name. */
async function sendParts(push: BlobPush, session: Session, source: BlobSource): Promise<void> {
  const { descriptor, clock, random, signal, endpoint } = push;
  const { size } = descriptor;
  const smaller = Math.max(CHUNK_BYTES, session.leastBytes);
  let chunkBytes = size;
  let offset = 0;
  for (let breaks = 0; ; ) {
    const from = offset;
    const to = Math.min(from + chunkBytes, size);
    try {
      if (from === size) return await close(push, session.url, undefined);
      const status = await sendPart(push, session, source, { from, to });
      if (status === 413 && chunkBytes <= smaller) {
        throw new RegistryError(
          'REGISTRY_DENIED',
          `${endpoint.host} takes no ${chunkBytes} bytes in one request, for ${subjectOf(push)}`,
        );
      }
      if (status === 413) chunkBytes = smaller;
      else if (status === 416)
        throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} lost its place in ${subjectOf(push)}`, {
          transient: true,
        });
      else {
        offset = to;
        breaks = 0;
        continue;
      }
    } catch (thrown) {
      if (!(thrown instanceof RegistryError) || !thrown.transient || ++breaks > BREAKS_MAX) throw thrown;
      if (breaks === BREAKS_OF_A_WHOLE) chunkBytes = Math.min(chunkBytes, smaller);
      await clock.sleep(waitMs(thrown, breaks, random), signal);
    }
    const again = { clock, random, attempts: ASKS_MAX, retryUnreachable: true, signal };
    // It may be only the answer that was lost.
    if (from === size && (await withRetries(again, () => headBlob(push))) !== null) return;
    const received = await withRetries(again, () => position(push, session));
    if (received === null) throw lost(push);
    offset = received;
    if (offset > from) breaks = 0;
  }
}

/** 413 and 416 are answers too: it is too much, or not what comes next. */
async function sendPart(push: BlobPush, session: Session, source: BlobSource, range: ByteRange): Promise<number> {
  const { requests, endpoint, descriptor, signal } = push;
  const { from, to } = range;
  const whole = from === 0 && to === descriptor.size;
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
    { subject: subjectOf(push), kind: 'upload', expect: [202, 201, 204, 413, 416] },
  );
  await reply.body.dump();
  if (reply.status < 400) session.url = requests.transport.locate(endpoint, reply);
  return reply.status;
}

/** How many bytes the registry has of an upload; null when it does not tell. */
async function position(push: BlobPush, session: Session): Promise<number | null> {
  const { requests, endpoint, descriptor, signal } = push;
  const reply = await requests.ask(
    { endpoint, method: 'GET', target: session.url, scopes: pushScopes(endpoint), signal },
    { subject: subjectOf(push), kind: 'upload', expect: [204, 200, 202, 400, 405, 416] },
  );
  await reply.body.dump();
  if (reply.status >= 400) return null;
  if (reply.headers.location !== undefined) session.url = requests.transport.locate(endpoint, reply);
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(String(reply.headers.range ?? '')) ?? [];
  // `0-0` is also what registries say of nothing.
  const received = last === undefined || last === '0' ? 0 : Number(last) + 1;
  return received > descriptor.size ? null : received;
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
    { subject: subjectOf(push), kind: 'upload', expect: [201, 204] },
  );
  await reply.body.dump();
}

/** Tells the registry that nobody goes on with an upload: it need not keep the bytes. Whether it hears that does not matter. */
async function discard({ requests, endpoint }: BlobPush, target: URL): Promise<void> {
  try {
    const signal = AbortSignal.timeout(2_000);
    // Some want the right to delete for this; whoever may not push anything away still gets the other rights.
    const scopes = [`repository:${endpoint.repository}:pull,push,delete`];
    const reply = await requests.transport.send({ endpoint, method: 'DELETE', target, scopes, signal });
    await reply.body.dump();
  } catch {
    // It forgets by itself.
  }
}

const subjectOf = ({ descriptor: { digest }, endpoint: { repository } }: BlobPush): string =>
  `the upload of ${digest} to ${repository}`;

/** The registry was there a moment ago: an upload's session that it lost is begun anew. */
function lost(push: BlobPush, cause?: Error): RegistryError {
  const message = cause?.message ?? `${push.endpoint.host} does not tell how far it is with ${subjectOf(push)}`;
  return new RegistryError('REGISTRY_FAILED', message, { cause, transient: true });
}
