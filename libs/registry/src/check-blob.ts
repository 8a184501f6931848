import type { Descriptor } from '#oci';
import type { Endpoint } from './endpoint.ts';
import type { Requests } from './requests.ts';

export interface BlobCheck {
  readonly requests: Requests;
  readonly endpoint: Endpoint;
  readonly descriptor: Pick<Descriptor, 'digest'>;
  readonly signal?: AbortSignal | undefined;
}

/** Whether whoever asks may read a blob of this repository. @throws KilnError IMAGE_NOT_FOUND, REGISTRY_DENIED, REGISTRY_FAILED */
export async function checkBlob({ requests, endpoint, descriptor: { digest }, signal }: BlobCheck): Promise<void> {
  const scopes = [`repository:${endpoint.repository}:pull`];
  const reply = await requests.ask(
    { endpoint, method: 'HEAD', target: `blobs/${digest}`, scopes, signal },
    { subject: `the blob ${digest} of ${endpoint.repository}`, kind: 'blob', expect: [200] },
  );
  await reply.body.dump();
}
