import { useVirtualizer } from '@tanstack/react-virtual';
import Anser from 'anser';
import { useEffect, useMemo, useRef, useState } from 'react';
import { partsOf, type StepView } from '#protocol';
import { findLines, type LogLine } from './log-model.ts';
import { Failure } from './parts.tsx';
import { keyOf } from './step-key.ts';
import { useLog } from './use-log.ts';
import { useQueryWord } from './query-state.ts';

const LINE_PX = 20;
/** Borders, and room for a scroll bar. */
const FRAME_PX = 18;
const NEAR_END_PX = 40;

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
  const found = useMemo(() => findLines(lines, wanted), [lines, version, wanted]);
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

interface SearchProps {
  readonly wanted: string;
  readonly setWanted: (text: string) => void;
  readonly found: readonly number[];
  readonly line: number;
  readonly go: (at: number) => void;
}

function Search({ wanted, setWanted, found, line, go }: SearchProps) {
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
          {found.length} found; Enter goes on
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
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 30,
  });
  const { length } = lines;
  useEffect(() => {
    if (follow && line === 0) rows.scrollToIndex(length - 1, { align: 'end' });
  }, [follow, length, line, rows]);
  const there = line >= 1 && line <= length;
  useEffect(() => {
    if (there) rows.scrollToIndex(line - 1, { align: 'center' });
  }, [there, line, rows]);
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
      onWheel={scrolled}
      style={{ height: `min(65vh, ${lines.length * LINE_PX + FRAME_PX}px)` }}
    >
      <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const each = lines[index];
          if (each === undefined) return null;
          const here = index + 1 === line;
          return (
            <div
              key={index}
              className={`line ${each.kind}${here ? ' here' : ''}`}
              style={{ transform: `translateY(${start}px)` }}
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
