import { type Descriptor, type Digest, digestOf, familiarReference, isDigest, type Reference } from '#oci';
import { pushScopes } from './blob-push.ts';
import type { Endpoint } from './endpoint.ts';
import { acceptManifests } from './manifests.ts';
import type { Requests } from './requests.ts';

export interface ManifestAt {
  readonly requests: Requests;
  readonly endpoint: Endpoint;
  readonly reference: Reference;
  readonly signal?: AbortSignal | undefined;
}

/** What the tag (without one, the digest) stands for; null when it is not there, or not told. */
export async function headManifest({ requests, endpoint, reference, signal }: ManifestAt): Promise<Descriptor | null> {
  const reply = await requests.ask(
    {
      endpoint,
      method: 'HEAD',
      target: `manifests/${reference.tag ?? reference.digest ?? 'latest'}`,
      scopes: pushScopes(endpoint),
      headers: { accept: acceptManifests },
      signal,
    },
    { subject: `the image ${familiarReference(reference)}`, kind: 'image', expect: [200, 404] },
  );
  await reply.body.dump();
  const { 'docker-content-digest': digest, 'content-type': mediaType, 'content-length': size } = reply.headers;
  if (reply.status !== 200 || typeof digest !== 'string' || !isDigest(digest) || mediaType === undefined) return null;
  return { mediaType, digest, size: Number(size ?? 0) };
}

/** Puts a manifest under the reference's tag, or by its digest alone when it has none. */
export async function pushManifest(at: ManifestAt, mediaType: string, bytes: Uint8Array): Promise<Digest> {
  const { requests, endpoint, reference, signal } = at;
  const digest = digestOf(bytes);
  const reply = await requests.ask(
    {
      endpoint,
      method: 'PUT',
      target: `manifests/${reference.tag ?? digest}`,
      scopes: pushScopes(endpoint),
      headers: { 'content-type': mediaType },
      body: () => bytes,
      signal,
    },
    { subject: `the image ${familiarReference(reference)}`, kind: 'upload', expect: [200, 201, 202] },
  );
  await reply.body.dump();
  return digest;
}
