import type { Descriptor } from '#oci';
import { type BlobPush, pushScopes } from './blob-push.ts';

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
    { subject: `the blob ${digest} of ${endpoint.repository}`, kind: 'blob', expect: [200, 404, 400, 405] },
  );
  await reply.body.dump();
  // An answer to HEAD cannot say what is wrong: the request that follows is told.
  return reply.status === 200 ? Number(reply.headers['content-length'] ?? 0) : null;
}
