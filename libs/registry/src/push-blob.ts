import { isKilnError } from '#std';
import { headBlob } from './head-blob.ts';
import type { Reply } from './http.ts';
import { withRetries } from './retries.ts';
import { uploadBlob } from './upload-blob.ts';
import { type BlobPush, pushScopes } from './blob-push.ts';

/** How a blob came to be in a repository: it was there, another repository of the registry had it, or it went up. */
export type PushOutcome = 'exists' | 'mounted' | 'pushed';

const ATTEMPTS = 4;

/** HEAD, mount, then an upload; one that cannot go on begins anew. */
export function pushBlob(push: BlobPush): Promise<PushOutcome> {
  const { clock, random, signal } = push;
  return withRetries({ clock, random, attempts: ATTEMPTS, retryUnreachable: true, signal }, async () => {
    if ((await headBlob(push)) !== null) return 'exists';
    const upload = (await mount(push)) ?? (await begin(push));
    if (upload === 'mounted') return upload;
    await uploadBlob(push, upload);
    return 'pushed';
  });
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
      { subject: `a mount from ${mountFrom} to ${endpoint.repository}`, kind: 'upload', expect: [201, 202] },
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

const empty = (): Uint8Array => Buffer.alloc(0);
