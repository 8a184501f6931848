import { useEffect } from 'react';

/** What the tab is called, and the page in the history; undefined leaves it to who knows. */
export function useTitle(text: string | undefined): void {
  useEffect(() => {
    if (text !== undefined) document.title = `${text} · Kiln`;
  }, [text]);
}
