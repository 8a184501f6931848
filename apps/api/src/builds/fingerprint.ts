import { digestOf } from '#oci';
import { canonicalJson } from '#std';
import type { NewBuild, Principal } from '#storage';

type Asked = Pick<NewBuild, 'request' | 'retryOf' | 'context' | 'namedContexts'>;

/** Two requests under one idempotency key are the same when they ask for the same; credentials may have been renewed. */
export function fingerprintOf(
  { scopeId }: Pick<Principal, 'scopeId'>,
  { request, retryOf, context, namedContexts = [] }: Asked,
): string {
  const { credentialHosts: _, cpus, ...rest } = request;
  // Canonical JSON has whole numbers only.
  const asked = cpus === undefined ? rest : { ...rest, cpus: String(cpus) };
  const others =
    namedContexts.length === 0
      ? {}
      : { named: Object.fromEntries(namedContexts.map(({ name, digest }) => [name, digest])) };
  const again = retryOf === undefined ? {} : { retryOf };
  return digestOf(canonicalJson({ scopeId, request: asked, context: context.digest, ...others, ...again }));
}
