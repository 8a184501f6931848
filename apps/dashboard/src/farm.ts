import { BuildsClient, FetchConnection } from '#client';
import { MeView, ProjectList, SignInWays, SignOutWay } from '#protocol';
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
  return post('/v1/session', request);
}

/** The projects in which a session of a person may go on, as many as one can choose from; none where it stands for a token. */
export const workplaces = (signal: AbortSignal): Promise<ProjectList> =>
  connection.json(ProjectList, { path: '/v1/session/projects?limit=100', signal });

/** The session goes on in another project: whatever is done in this browser is done there. */
export const workIn = (project: string): Promise<MeView> => post('/v1/session/project', { project });

function post(path: string, request: object): Promise<MeView> {
  return connection.json(MeView, {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
}

/** How people sign in here who have no token. */
export const signInWays = (signal: AbortSignal): Promise<SignInWays> =>
  connection.json(SignInWays, { path: '/v1/session/ways', signal });

/** Where who has signed out here still is signed in. */
export const signOutWay = (signal: AbortSignal): Promise<SignOutWay> =>
  connection.json(SignOutWay, { path: '/v1/session/oidc/end', signal });

export async function signOut(): Promise<void> {
  await connection.call({ method: 'DELETE', path: '/v1/session' });
}
