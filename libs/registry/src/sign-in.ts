import { type Endpoint, registryEndpoint } from './endpoint.ts';
import type { Requests } from './requests.ts';

/**
 * Whether a registry knows who asks: https://distribution.github.io/distribution/spec/api/#api-version-check
 * @throws RegistryError where it does not
 */
export async function signIn(
  requests: Requests,
  registry: string,
  { plainHttp, signal }: { readonly plainHttp: readonly string[]; readonly signal: AbortSignal },
): Promise<void> {
  // Of no repository: a token for nothing says who somebody is.
  const endpoint: Endpoint = registryEndpoint({ registry, repository: '' }, plainHttp);
  const call = { endpoint, method: 'GET', target: new URL('/v2/', endpoint.origin), scopes: [], signal } as const;
  const reply = await requests.ask(call, { subject: 'the account', kind: 'token', expect: [200] });
  await reply.body.dump();
}
