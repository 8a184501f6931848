import { BuildsClient, FetchConnection } from '#client';
import { MeView, SignInWays } from '#protocol';
import type { Clock } from '#std';

const clock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      if (signal?.aborted === true) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    }),
};

const connection = new FetchConnection({ fetch: (path, init) => fetch(path, init), clock });

/** The API of the farm that the page is from. */
export const farm = new BuildsClient(connection);

/** For a token or the code of a link: the cookie of a session, which the page never sees. */
export function signIn(request: { readonly token: string } | { readonly code: string }): Promise<MeView> {
  return connection.json(MeView, {
    method: 'POST',
    path: '/v1/session',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
}

/** How people sign in here who have no token. */
export const signInWays = (signal: AbortSignal): Promise<SignInWays> =>
  connection.json(SignInWays, { path: '/v1/session/ways', signal });

export async function signOut(): Promise<void> {
  await connection.call({ method: 'DELETE', path: '/v1/session' });
}
