export const LINE_PX = 20;
/** Browsers draw nothing that is higher than some ten million pixels. */
const MAX_PX = 8_000_000;
const OVERSCAN = 30;

/** Which lines are seen, and where they stand; of logs higher than a browser draws, a pixel scrolled is several. */
export interface LineWindow {
  readonly first: number;
  readonly end: number;
  /** of the whole box */
  readonly heightPx: number;
  /** of a line, in the box */
  readonly top: (line: number) => number;
}

const scaleOf = (count: number, viewPx: number): { readonly heightPx: number; readonly scale: number } => {
  const wholePx = count * LINE_PX;
  const heightPx = Math.min(wholePx, MAX_PX);
  return { heightPx, scale: heightPx <= viewPx ? 1 : (wholePx - viewPx) / (heightPx - viewPx) };
};

export function lineWindow(count: number, scrollPx: number, viewPx: number): LineWindow {
  const { heightPx, scale } = scaleOf(count, viewPx);
  const seenPx = scrollPx * scale;
  return {
    first: Math.max(0, Math.floor(seenPx / LINE_PX) - OVERSCAN),
    end: Math.min(count, Math.ceil((seenPx + viewPx) / LINE_PX) + OVERSCAN),
    heightPx,
    top: (line) => line * LINE_PX - seenPx + scrollPx,
  };
}

/** How far to scroll so that a line is in the middle. */
export function scrollTo(line: number, count: number, viewPx: number): number {
  const { heightPx, scale } = scaleOf(count, viewPx);
  const wantedPx = (line * LINE_PX + LINE_PX / 2 - viewPx / 2) / scale;
  return Math.max(0, Math.min(wantedPx, heightPx - viewPx));
}
