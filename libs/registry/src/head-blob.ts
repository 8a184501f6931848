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
    { subject: `the blob ${digest}`, kind: 'blob', expect: [200, 404] },
  );
  await reply.body.dump();
  return reply.status === 200 ? Number(reply.headers['content-length'] ?? 0) : null;
}
