import { useEffect, useRef, useState } from 'react';
import type { LogLine } from '#protocol';
import { AnsiText } from './ansi-text.tsx';
import { LINE_PX, lineWindow, scrollTo } from './line-window.ts';

/** Borders, and room for a scroll bar. */
const FRAME_PX = 18;
const NEAR_END_PX = 40;
const FIRST_VIEW_PX = 600;

interface LinesProps {
  readonly lines: readonly LogLine[];
  readonly names: ReadonlyMap<string, string>;
  readonly times: boolean;
  readonly follow: boolean;
  readonly setFollow: (follow: boolean) => void;
  readonly wanted: string;
  /** from 1; 0 for none */
  readonly line: number;
  readonly setLine: (line: string) => void;
}

/** Lines of a log: only those that are seen are drawn. */
export function LogLines({ lines, names, times, follow, setFollow, wanted, line, setLine }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const { length } = lines;
  const [{ scrollPx, viewPx }, setView] = useState({ scrollPx: 0, viewPx: FIRST_VIEW_PX });
  const look = (): void => {
    const { current } = box;
    if (current !== null) setView({ scrollPx: current.scrollTop, viewPx: current.clientHeight });
  };
  const rows = lineWindow(length, scrollPx, viewPx);
  useEffect(() => {
    const { current } = box;
    if (current === null) return;
    const sized = new ResizeObserver(look);
    sized.observe(current);
    return () => sized.disconnect();
  }, []);
  useEffect(() => {
    const { current } = box;
    if (current === null || !follow || line !== 0) return;
    current.scrollTop = current.scrollHeight;
    look();
  }, [follow, length, line]);
  const there = line >= 1 && line <= length;
  useEffect(() => {
    const { current } = box;
    if (current === null || !there) return;
    current.scrollTop = scrollTo(line - 1, length, current.clientHeight);
    look();
    // Lines that come later leave it where it is, unless the height of all is another scale.
  }, [there, line]);
  const scrolled = (): void => {
    const { current } = box;
    if (current === null) return;
    const atEnd = current.scrollHeight - current.scrollTop - current.clientHeight < NEAR_END_PX;
    if (!atEnd && follow && current.scrollTop > 0) setFollow(false);
  };
  return (
    <div
      ref={box}
      className="lines"
      tabIndex={0}
      role="region"
      aria-label="Lines of the log"
      onScroll={look}
      onWheel={scrolled}
      style={{ height: lines.length * LINE_PX + FRAME_PX }}
    >
      <div style={{ height: rows.heightPx, position: 'relative', overflow: 'clip' }}>
        {lines.slice(rows.first, rows.end).map((each, at) => {
          const index = rows.first + at;
          const here = index + 1 === line;
          return (
            <div
              key={index}
              className={`line ${each.kind}${here ? ' here' : ''}`}
              style={{ transform: `translateY(${rows.top(index)}px)` }}
            >
              <button
                type="button"
                className="no"
                onClick={() => setLine(String(index + 1))}
                aria-label={`Link to line ${index + 1}`}
              >
                {index + 1}
              </button>
              {times && <time className="quiet">{new Date(each.atMs).toLocaleTimeString()}</time>}
              <span className="of quiet">{names.get(each.vertex) ?? ''}</span>
              <AnsiText text={each.text} wanted={wanted} />
            </div>
          );
        })}
      </div>
    </div>
  );
}
