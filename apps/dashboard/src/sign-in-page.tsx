import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { ownPath, SignInFailure } from '#protocol';
import { signIn, signInWays, signOutWay } from './farm.ts';
import { Failure } from './parts.tsx';
import { useTitle } from './use-title.ts';

/** Why nobody was signed in, and what to do. */
const failures: Readonly<Record<SignInFailure, readonly [string, string]>> = {
  expired: ['This way to sign in has ended, was used, or began in another browser.', 'Begin again.'],
  refused: [
    'You were not signed in: the answer did not hold, or you said no.',
    'Begin again; the farm’s log says more.',
  ],
  unavailable: ['Where people sign in cannot be reached just now.', 'Try again in a moment, or sign in with a token.'],
  unknown: [
    'You are signed in there, but no member of a team here.',
    'Ask an owner to add you with your e-mail address, under Settings, Members.',
  ],
  unverified: [
    'Your e-mail address is not verified there, so that nobody here is known by it.',
    'Verify it there, then begin again.',
  ],
  taken: [
    'The member with your e-mail address is somebody else there.',
    'If that was you, ask an owner to set the address anew, under Settings, Members.',
  ],
  project: ['You are in no team with such a project.', 'Begin again without its name, or ask an owner of its team.'],
};

/** At the farm's issuer, with a token, or by the code in a link of `kiln dashboard`. */
export function SignInPage() {
  useTitle('Sign in');
  const [token, setToken] = useState('');
  const [search] = useSearchParams();
  const [, go] = useLocation();
  const queries = useQueryClient();
  const entering = useMutation({
    mutationFn: signIn,
    onSuccess: (me) => {
      queries.setQueryData(['me'], me);
      go(ownPath(search.get('to') ?? '/'), { replace: true });
    },
  });
  const ways = useQuery({ queryKey: ['ways'], queryFn: ({ signal }) => signInWays(signal), staleTime: Infinity });
  const oidc = ways.data?.oidc ?? null;
  const project = search.get('project');
  const failed = SignInFailure.safeParse(search.get('failed')).data;
  const { mutate } = entering;
  const tried = useRef(false);
  useEffect(() => {
    const [, code] = /^#code=(.+)$/.exec(window.location.hash) ?? [];
    if (code === undefined || tried.current) return;
    tried.current = true;
    // It is used up: nothing of it stays in the history.
    history.replaceState(null, '', window.location.pathname + window.location.search);
    mutate({ code });
  }, [mutate]);
  const send = (event: FormEvent): void => {
    event.preventDefault();
    entering.mutate({ token: token.trim() });
  };
  return (
    <main className="alone">
      <h1>
        <img src="/favicon.svg" alt="" width="28" height="28" /> Sign in to Kiln
      </h1>
      {failed !== undefined && (
        <div className="notice bad" role="alert">
          <p>{failures[failed][0]}</p>
          <p className="quiet">{failures[failed][1]}</p>
        </div>
      )}
      {search.get('out') === 'issuer' && <SignOutThere />}
      {oidc !== null && (
        <p>
          <a className="button main" href={startOf(search)}>
            Sign in with {oidc.name}
          </a>
          {project !== null && <span className="quiet"> in the project {project}</span>}
        </p>
      )}
      <form onSubmit={send}>
        <label htmlFor="token">Token</label>
        <input
          id="token"
          type="password"
          autoComplete="current-password"
          placeholder="kiln_…"
          required
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
        <button type="submit" className={oidc === null ? 'main' : ''} disabled={entering.isPending}>
          {entering.isPending ? 'Signing in …' : oidc === null ? 'Sign in' : 'Sign in with the token'}
        </button>
      </form>
      {entering.isError && <Failure error={entering.error} />}
      <p className="quiet">
        <code>kiln dashboard</code> opens a link that needs no token. <code>kiln token create</code> makes a token;
        whoever administers the project can.
      </p>
    </main>
  );
}

/** The issuer would let him in again without a word. */
function SignOutThere() {
  const way = useQuery({ queryKey: ['sign-out'], queryFn: ({ signal }) => signOutWay(signal), staleTime: Infinity });
  return (
    <div className="notice" role="status">
      <p>You are signed out of Kiln.</p>
      {way.data !== undefined && way.data.url !== null && (
        <p>
          At {way.data.name} you may still be signed in: <a href={way.data.url}>Sign out there, too</a>
        </p>
      )}
    </div>
  );
}

/** To the issuer, and back to the page that was wanted. */
function startOf(search: URLSearchParams): string {
  const query = new URLSearchParams({ to: ownPath(search.get('to') ?? '/') });
  const project = search.get('project');
  if (project !== null) query.set('project', project);
  return `/v1/session/oidc?${query.toString()}`;
}
