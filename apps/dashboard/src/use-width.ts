import { type RefObject, useEffect, useState } from 'react';

/** How wide a box is on the screen, in pixels: drawings are made for it, and their text stays as large as all text. */
export function useWidth(box: RefObject<HTMLElement | null>, firstPx: number): number {
  const [widthPx, setWidth] = useState(firstPx);
  useEffect(() => {
    const { current } = box;
    if (current === null) return;
    const look = (): void => setWidth(current.clientWidth);
    look();
    const sized = new ResizeObserver(look);
    sized.observe(current);
    return () => sized.disconnect();
  }, [box]);
  return widthPx;
}
