import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { LogLine } from '#protocol';
import { findLines } from './log-model.ts';
import { useProject } from './use-project.ts';

/** Longer logs are searched by the farm. */
const SEARCHED_HERE = 20_000;
const MOST_FOUND = 1_000;
/** Who types on asks nothing yet. */
const TYPING_MS = 250;

interface Searched {
  readonly id: string;
  readonly step: string | undefined;
  readonly lines: readonly LogLine[];
  readonly wanted: string;
  readonly version: number;
  readonly ended: boolean;
}

/** Places of the lines that have the text: of a short log looked for here, of a long one by the farm. */
export function useFound({ id, step, lines, wanted, version, ended }: Searched): {
  readonly found: readonly number[];
  readonly more: boolean;
} {
  const { farm } = useProject();
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

/** What is searched, and how often it is there; Enter goes from one to the next. */
export function LogSearch({ wanted, setWanted, found, more, line, go }: SearchProps) {
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
