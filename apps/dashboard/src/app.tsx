import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import type { MeView } from '#protocol';
import { isKilnError } from '#std';
import { BuildsPage } from './builds-page.tsx';
import { farm, signOut } from './farm.ts';
import { Failure, Loading } from './parts.tsx';
import { SignInPage } from './sign-in-page.tsx';
import { applyTheme, readTheme, themes } from './theme.ts';
import { useTitle } from './use-title.ts';
import { isPerson, useWorkplaceOfOtherTabs, Workplace } from './workplace.tsx';

const BuildPage = lazy(() => import('./build-page.tsx'));
const CachePage = lazy(() => import('./cache-page.tsx'));
const FarmPage = lazy(() => import('./farm-page.tsx'));
const ImagesPage = lazy(() => import('./images-page.tsx'));
const ImagePage = lazy(() => import('./image-page.tsx'));
const SettingsPage = lazy(() => import('./settings-page.tsx'));

const places = [
  ['/', 'Builds'],
  ['/cache', 'Cache'],
  ['/images', 'Images'],
  ['/farm', 'Farm'],
  ['/settings', 'Settings'],
] as const;

/** Who is signed in sees the pages; who is not, the way in. */
export function App() {
  const [location] = useLocation();
  const me = useQuery({ queryKey: ['me'], queryFn: ({ signal }) => farm.access.me(signal), staleTime: 60_000 });
  if (location === '/sign-in') return <SignInPage />;
  if (me.data !== undefined) return <Pages me={me.data} />;
  if (me.isPending) return <Loading />;
  if (!isKilnError(me.error, 'UNAUTHENTICATED'))
    return (
      <main className="alone">
        <Failure error={me.error} retry={() => void me.refetch()} />
      </main>
    );
  const to = location + window.location.search;
  return <Redirect to={to === '/' ? '/sign-in' : `/sign-in?to=${encodeURIComponent(to)}`} replace />;
}

function Pages({ me }: { readonly me: MeView }) {
  useWorkplaceOfOtherTabs();
  return (
    <Frame me={me}>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/">
            <BuildsPage me={me} />
          </Route>
          <Route path="/b/:id">{({ id }) => <BuildPage key={id} id={id} me={me} />}</Route>
          <Route path="/cache">
            <CachePage me={me} />
          </Route>
          <Route path="/images">
            <ImagesPage />
          </Route>
          <Route path="/images/:digest">
            {({ digest }) => <ImagePage key={digest} digest={digest.replace(/%3a/i, ':')} me={me} />}
          </Route>
          <Route path="/farm">
            <FarmPage />
          </Route>
          <Route path="/settings/:part?">{({ part }) => <SettingsPage me={me} part={part ?? 'tokens'} />}</Route>
          <Route>
            <h1>There is no such page</h1>
            <p>
              <Link href="/">All builds</Link>
            </p>
          </Route>
        </Switch>
      </Suspense>
    </Frame>
  );
}

function Frame({ me, children }: { readonly me: MeView; readonly children: ReactNode }) {
  const [location] = useLocation();
  useTitle(titleOf(location));
  const queries = useQueryClient();
  // Forms and short tables are easier to read narrow.
  const roomy = !/^\/(?:farm|settings)/.test(location);
  const leave = async (): Promise<void> => {
    await signOut();
    queries.clear();
    window.location.assign(isPerson(me) ? '/sign-in?out=issuer' : '/sign-in');
  };
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <Link href="/" className="brand">
          <img src="/favicon.svg" alt="" width="20" height="20" /> Kiln
        </Link>
        <nav aria-label="Pages">
          {places.map(([href, word]) => {
            const here = href === '/' ? location === '/' || location.startsWith('/b/') : location.startsWith(href);
            return (
              <Link key={href} href={href} aria-current={here ? 'page' : undefined}>
                {word}
              </Link>
            );
          })}
        </nav>
        <Workplace me={me} />
        <ThemeChoice />
        <button type="button" onClick={() => void leave()}>
          Sign out
        </button>
      </header>
      <main id="main" tabIndex={-1} className={roomy ? 'roomy' : undefined}>
        {children}
      </main>
    </>
  );
}

/** What one build or image is called, its own page knows. */
function titleOf(location: string): string | undefined {
  if (/^\/(?:b|images)\/./.test(location)) return undefined;
  return places.find(([href]) => (href === '/' ? location === href : location.startsWith(href)))?.[1] ?? 'No such page';
}

function ThemeChoice() {
  const [theme, setTheme] = useState(readTheme);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system';
  const change = (): void => {
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" onClick={change} title={`Switch to ${next}`}>
      Theme: {theme}
    </button>
  );
}
