import { useSyncExternalStore } from 'react';

const wish = window.matchMedia('(prefers-color-scheme: dark)');

/** Changes with the colours of the page: what is drawn in them is drawn anew. */
export function useScheme(): string {
  return useSyncExternalStore(subscribe, scheme);
}

const scheme = (): string => `${document.documentElement.dataset['theme'] ?? ''} ${wish.matches}`;

function subscribe(changed: () => void): () => void {
  const chosen = new MutationObserver(changed);
  chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  wish.addEventListener('change', changed);
  return () => {
    chosen.disconnect();
    wish.removeEventListener('change', changed);
  };
}
