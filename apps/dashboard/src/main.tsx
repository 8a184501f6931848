import { hashKey, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { z } from 'zod';
import { isKilnError } from '#std';
import { App } from './app.tsx';
import { applyTheme } from './theme.ts';
import './styles.css';
import './widths.css';

// The page's policy forbids code that is made of text.
z.config({ jitless: true });
applyTheme();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The connection tries again itself where that can help.
      retry: false,
      staleTime: 1_000,
      refetchIntervalInBackground: false,
    },
    mutations: { retry: false },
  },
});
// Whatever finds that the session has ended leads to where one begins.
queries.getQueryCache().subscribe(({ query }) => {
  if (query.queryHash !== hashKey(['me']) && isKilnError(query.state.error, 'UNAUTHENTICATED'))
    void queries.resetQueries({ queryKey: ['me'] });
});

const root = document.getElementById('root');
if (root !== null)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
