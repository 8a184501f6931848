import type { Descriptor } from '#oci';
import { type Bytes, type Clock, isKilnError, KilnError, type Random } from '#std';
import type { Endpoint } from './endpoint.ts';
import type { Reply } from './http.ts';
import { RegistryError } from './registry-error.ts';
import type { Requests } from './requests.ts';
import { withRetries } from './retries.ts';

/** How a blob came to be in a repository: it was there, another repository of the registry had it, or it went up. */
export type PushOutcome = 'exists' | 'mounted' | 'pushed';

export interface BlobPush {
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
  readonly endpoint: Endpoint;
  readonly descriptor: Descriptor;
  readonly open: () => Bytes;
  readonly mountFrom?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const ATTEMPTS = 4;
/** Registries on object stores copy and digest a blob before they answer. */
const COMMIT_TIMEOUT_MS = 5 * 60_000;

export const pushScopes = ({ repository }: Endpoint): readonly string[] => [`repository:${repository}:pull,push`];

/** HEAD, mount, then a whole upload; a broken one begins anew. */
export function pushBlob(push: BlobPush): Promise<PushOutcome> {
  const { clock, random, signal } = push;
  return withRetries({ clock, random, attempts: ATTEMPTS, retryUnreachable: true, signal }, async () => {
    if ((await headBlob(push)) !== null) return 'exists';
    const upload = (await mount(push)) ?? (await begin(push));
    if (upload === 'mounted') return upload;
    await send(push, upload);
    return 'pushed';
  });
}

/** The blob's size in bytes as the registry tells it (0 where it does not), or null when it is not there. */
export async function headBlob({
  requests,
  endpoint,
  descriptor: { digest },
  signal,
}: Pick<BlobPush, 'requests' | 'endpoint' | 'signal'> & {
  readonly descriptor: Pick<Descriptor, 'digest'>;
}): Promise<number | null> {
  const reply = await requests.ask(
    { endpoint, method: 'HEAD', target: `blobs/${digest}`, scopes: pushScopes(endpoint), signal },
    { subject: `the blob ${digest}`, kind: 'blob', expect: [200, 404] },
  );
  await reply.body.dump();
  return reply.status === 200 ? Number(reply.headers['content-length'] ?? 0) : null;
}

/** `mounted`, or the upload that the registry began instead; null when it would do neither. */
async function mount(push: BlobPush): Promise<'mounted' | Reply | null> {
  const { requests, endpoint, descriptor, mountFrom, signal } = push;
  if (mountFrom === undefined) return null;
  const query = new URLSearchParams({ mount: descriptor.digest, from: mountFrom });
  const scopes = [...pushScopes(endpoint), `repository:${mountFrom}:pull`];
  try {
    const reply = await requests.ask(
      { endpoint, method: 'POST', target: `blobs/uploads/?${query.toString()}`, scopes, body: empty, signal },
      { subject: `a mount from ${mountFrom}`, kind: 'upload', expect: [201, 202] },
    );
    await reply.body.dump();
    return reply.status === 201 ? 'mounted' : reply;
  } catch (thrown) {
    // Who may push here need not be allowed to read there, nor need that repository be there still.
    if (isKilnError(thrown, 'REGISTRY_DENIED', 'IMAGE_NOT_FOUND')) return null;
    throw thrown;
  }
}

async function begin({ requests, endpoint, signal }: BlobPush): Promise<Reply> {
  const reply = await requests.ask(
    { endpoint, method: 'POST', target: 'blobs/uploads/', scopes: pushScopes(endpoint), body: empty, signal },
    { subject: `the repository ${endpoint.repository}`, kind: 'upload', expect: [202] },
  );
  await reply.body.dump();
  return reply;
}

async function send({ requests, endpoint, descriptor, open, signal }: BlobPush, begun: Reply): Promise<void> {
  const { digest, size } = descriptor;
  const target = requests.transport.locate(endpoint, begun);
  target.searchParams.set('digest', digest);
  try {
    const reply = await requests.ask(
      {
        endpoint,
        method: 'PUT',
        target,
        scopes: pushScopes(endpoint),
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
        body: () => exactly(open(), descriptor),
        signal,
        headersTimeoutMs: COMMIT_TIMEOUT_MS,
      },
      { subject: `the upload of ${digest} to ${endpoint.repository}`, kind: 'upload', expect: [201, 204] },
    );
    await reply.body.dump();
  } catch (thrown) {
    // The registry was there a moment ago: an upload's session that it lost is begun anew.
    if (!isKilnError(thrown, 'IMAGE_NOT_FOUND')) throw thrown;
    throw new RegistryError('REGISTRY_FAILED', thrown.message, { cause: thrown, transient: true });
  }
}

const empty = (): Uint8Array => Buffer.alloc(0);

/** A source that is shorter or longer than its descriptor is our own fault, not the registry's. */
async function* exactly(source: Bytes, { digest, size }: Descriptor): Bytes {
  let sent = 0;
  for await (const chunk of source) {
    sent += chunk.byteLength;
    if (sent > size) break;
    yield chunk;
  }
  if (sent !== size) throw new KilnError('BLOB_CORRUPT', `the blob ${digest} is not ${size} bytes long`);
}
