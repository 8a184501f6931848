import { describe, expect, it } from 'vitest';
import { LINE_PX, lineWindow, scrollTo } from './line-window.ts';

const VIEW_PX = 600;

describe('the window of lines', () => {
  it.each([0, 1, 29, 30, 1_000, 400_000, 1_000_000, 2_000_000])(
    'has every one of %d lines where it is gone to',
    (count) => {
      for (const line of [0, 1, Math.floor(count / 3), count - 2, count - 1].filter(
        (each) => each >= 0 && each < count,
      )) {
        const scrollPx = scrollTo(line, count, VIEW_PX);
        const { first, end, top, heightPx } = lineWindow(count, scrollPx, VIEW_PX);
        expect(heightPx).toBeLessThanOrEqual(8_000_000);
        expect([first <= line && line < end, end - first < 200]).toEqual([true, true]);
        // In sight, but for a pixel of rounding.
        expect(top(line)).toBeGreaterThanOrEqual(scrollPx - 1);
        expect(top(line) + LINE_PX).toBeLessThanOrEqual(scrollPx + VIEW_PX + 1);
      }
    },
  );

  it('begins with the first line and ends with the last', () => {
    const count = 1_000_000;
    expect(lineWindow(count, 0, VIEW_PX)).toMatchObject({ first: 0 });
    expect(lineWindow(count, 8_000_000 - VIEW_PX, VIEW_PX)).toMatchObject({ end: count });
    expect(lineWindow(0, 0, VIEW_PX)).toMatchObject({ first: 0, end: 0, heightPx: 0 });
  });
});
