import { useQuery } from '@tanstack/react-query';
import Anser from 'anser';
import { useEffect, useMemo, useRef, useState } from 'react';
import { type LogLine, partsOf, type StepView } from '#protocol';
import { farm } from './farm.ts';
import { LINE_PX, lineWindow, scrollTo } from './line-window.ts';
import { findLines } from './log-model.ts';
import { Failure } from './parts.tsx';
import { keyOf } from './step-key.ts';
import { useLog } from './use-log.ts';
import { useQueryWord } from './query-state.ts';

/** Borders, and room for a scroll bar. */
const FRAME_PX = 18;
const NEAR_END_PX = 40;
const FIRST_VIEW_PX = 600;
/** Longer logs are searched by the farm. */
const SEARCHED_HERE = 20_000;
const MOST_FOUND = 1_000;
/** Who types on asks nothing yet. */
const TYPING_MS = 250;

/** A build's log, or that of the step in the URL: only the lines that are seen are drawn. */
export default function LogView({ id, steps }: { readonly id: string; readonly steps: readonly StepView[] }) {
  const { model, version, ended, error } = useLog(id);
  const [chosen, choose] = useQueryWord('step');
  const [wanted, setWanted] = useQueryWord('find');
  const [lineWord, setLineWord] = useQueryWord('line');
  const [times, setTimes] = useState(false);
  const [follow, setFollow] = useState(lineWord === '');
  // Who goes to a line stays there; who follows is at the end.
  const setLine = (line: string): void => {
    setFollow(false);
    setLineWord(line);
  };
  const goOn = (on: boolean): void => {
    setFollow(on);
    if (on) setLineWord('');
  };
  const step = steps.find((each) => keyOf(each) === chosen);
  const lines = useMemo(
    () => (step === undefined ? model.lines : model.lines.filter(({ vertex }) => vertex === step.vertex)),
    [model, version, step],
  );
  const { found, more } = useFound({ id, lines, wanted, version, ended, step: chosen === '' ? undefined : chosen });
  const names = useMemo(() => new Map(steps.map(({ vertex, name }) => [vertex, partsOf(name).place])), [steps]);
  return (
    <section aria-label="Log" className="log">
      <div className="heading">
        <h2>Log {step !== undefined && <span className="quiet">of {partsOf(step.name).text}</span>}</h2>
        <div className="filters">
          {step !== undefined && (
            <button type="button" onClick={() => choose('')}>
              All steps
            </button>
          )}
          <Search
            wanted={wanted}
            setWanted={setWanted}
            found={found}
            more={more}
            line={Number(lineWord)}
            go={(at) => setLine(String(at + 1))}
          />
          <label>
            <input type="checkbox" checked={times} onChange={(event) => setTimes(event.target.checked)} /> Times
          </label>
          <label>
            <input type="checkbox" checked={follow} onChange={(event) => goOn(event.target.checked)} /> Follow
          </label>
          <a className="button" href={`/v1/builds/${encodeURIComponent(id)}/logs`} download={`${id}.log`}>
            Download
          </a>
        </div>
      </div>
      {error !== undefined && <Failure error={error} />}
      {model.dropped > 0 && <p className="quiet">The first {model.dropped} lines are in the download alone.</p>}
      {lines.length === 0 ? (
        <p className="quiet">
          {ended ? 'Nothing was said: steps from the cache are silent.' : 'Nothing was said yet.'}
        </p>
      ) : (
        <Lines {...{ lines, names, times, follow, setFollow, wanted, setLine }} line={Number(lineWord)} />
      )}
    </section>
  );
}

interface Searched {
  readonly id: string;
  readonly step: string | undefined;
  readonly lines: readonly LogLine[];
  readonly wanted: string;
  readonly version: number;
  readonly ended: boolean;
}

/** Places of the lines that have the text: of a short log looked for here, of a long one by the farm. */
function useFound({ id, step, lines, wanted, version, ended }: Searched): {
  readonly found: readonly number[];
  readonly more: boolean;
} {
  const long = lines.length > SEARCHED_HERE;
  const here = useMemo(() => (long ? [] : findLines(lines, wanted)), [long, lines, version, wanted]);
  const there = useQuery({
    queryKey: ['search', id, step, wanted, ended],
    enabled: long && wanted !== '',
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
      signal.throwIfAborted();
      return await farm.searchLog(id, { text: wanted, step, after: 0, limit: MOST_FOUND }, signal);
    },
  });
  const asked = useMemo(() => there.data?.matches.map(({ line }) => line - 1) ?? [], [there.data]);
  return long ? { found: asked, more: typeof there.data?.next === 'number' } : { found: here, more: false };
}

interface SearchProps {
  readonly wanted: string;
  readonly setWanted: (text: string) => void;
  readonly found: readonly number[];
  /** there is more than that */
  readonly more: boolean;
  readonly line: number;
  readonly go: (at: number) => void;
}

function Search({ wanted, setWanted, found, more, line, go }: SearchProps) {
  const jump = (back: boolean): void => {
    const next = back ? found.findLast((at) => at + 1 < line) : found.find((at) => at + 1 > line);
    const to = next ?? (back ? found.at(-1) : found[0]);
    if (to !== undefined) go(to);
  };
  return (
    <>
      <input
        type="search"
        aria-label="Search the log"
        placeholder="search"
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') jump(event.shiftKey);
        }}
      />
      {wanted !== '' && (
        <span className="quiet" role="status">
          {found.length.toLocaleString()}
          {more ? ' and more' : ''} found; Enter goes on
        </span>
      )}
    </>
  );
}

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

function Lines({ lines, names, times, follow, setFollow, wanted, line, setLine }: LinesProps) {
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
      style={{ height: `min(65vh, ${lines.length * LINE_PX + FRAME_PX}px)` }}
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
              <Ansi text={each.text} wanted={wanted} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** A line with the colours that it asks for, by class: the page's policy has no styles in text. */
function Ansi({ text, wanted }: { readonly text: string; readonly wanted: string }) {
  const pieces = text.includes('\u001b')
    ? Anser.ansiToJson(text, { use_classes: true, remove_empty: true })
    : [{ content: text, fg: null, decoration: null }];
  return (
    <span className="text">
      {pieces.map(({ content, fg, decoration }, at) => (
        <span key={at} className={[fg, decoration].filter(Boolean).join(' ') || undefined}>
          <Marked text={content} wanted={wanted} />
        </span>
      ))}
    </span>
  );
}

function Marked({ text, wanted }: { readonly text: string; readonly wanted: string }) {
  const at = wanted === '' ? -1 : text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < 0) return text;
  const end = at + wanted.length;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, end)}</mark>
      <Marked text={text.slice(end)} wanted={wanted} />
    </>
  );
}
