import { KilnError, messageOf } from '#std';
import { z } from 'zod';

/** What the SDK throws for an answer of the server. */
const ServiceError = z.object({
  name: z.string(),
  message: z.string(),
  $metadata: z.object({ httpStatusCode: z.int().optional() }).optional(),
});

const REFUSALS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'create the bucket, or name another one in KILN_OBJECT_STORE',
  AccessDenied: 'the credentials need to get, put, list and delete objects, and to list and abort multipart uploads',
  InvalidAccessKeyId: 'check AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'check AWS_SECRET_ACCESS_KEY, and region and endpoint in KILN_OBJECT_STORE',
  ExpiredToken: 'the credentials have expired: renew AWS_SESSION_TOKEN',
  CredentialsProviderError: 'give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or by the node’s role',
  PermanentRedirect: 'the bucket is in another region: name it in KILN_OBJECT_STORE (?region=…)',
  AuthorizationHeaderMalformed: 'the bucket is in another region: name it in KILN_OBJECT_STORE (?region=…)',
};
/** A HEAD request is answered without a word. */
const REFUSED =
  'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do in the bucket of KILN_OBJECT_STORE';
const HINT = 'the object store is tried again; if it stays away, check KILN_OBJECT_STORE and the way to it';

const statusOf = (thrown: unknown): number | undefined =>
  ServiceError.safeParse(thrown).data?.$metadata?.httpStatusCode;
const nameOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : '');

/** The object is not there; the bucket is. */
export function isAbsent(thrown: unknown): boolean {
  const cause = thrown instanceof KilnError ? thrown.cause : thrown;
  return statusOf(cause) === 404 && nameOf(cause) !== 'NoSuchBucket';
}

/** The server is away or refuses: what it says elsewhere is enough. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof KilnError && thrown.code === 'UPSTREAM_UNAVAILABLE';
}

/** What a request to the server throws, as one of ours. */
export function s3Error(thrown: unknown): KilnError {
  if (thrown instanceof KilnError) return thrown;
  const name = nameOf(thrown);
  const status = statusOf(thrown);
  const said = [name === 'Error' ? '' : name, messageOf(thrown)].filter((text) => text !== '').join(': ');
  const hint = REFUSALS[name] ?? (status === 403 ? REFUSED : HINT);
  const message = `the object store ${status === undefined ? 'cannot be reached' : `answered ${status}`} (${said})`;
  return new KilnError('UPSTREAM_UNAVAILABLE', message, { hint, cause: thrown });
}

/**
 * @throws KilnError UPSTREAM_UNAVAILABLE; what the signal was aborted with, where it was
 */
export async function asking<T>(
  signal: AbortSignal | undefined,
  ask: (options: { readonly abortSignal?: AbortSignal }) => Promise<T>,
): Promise<T> {
  try {
    return await ask(signal === undefined ? {} : { abortSignal: signal });
  } catch (thrown) {
    signal?.throwIfAborted();
    throw s3Error(thrown);
  }
}
