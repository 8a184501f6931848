import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Failure, Loading } from './parts.tsx';

interface TableProps<T> {
  readonly name: string;
  readonly heads: readonly string[];
  readonly rows: readonly T[];
  readonly row: (each: T) => readonly ReactNode[];
  readonly keyOf: (each: T) => string;
}

/** Rows under their heads; on narrow screens it scrolls by itself. */
export function Table<T>({ name, heads, rows, row, keyOf }: TableProps<T>) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={name}>
      <table className="cards">
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((each) => (
            <tr key={keyOf(each)}>
              {row(each).map((cell, at) => (
                <td key={at} className={at === 0 ? 'what' : undefined} data-word={wordOf(heads[at], at)}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** On a card, what a cell tells; the first tells what the card is of. */
const wordOf = (head = '', at: number): string | undefined =>
  at === 0 || head === '' ? undefined : head.toLowerCase();

interface ListedProps<T> extends Omit<TableProps<T>, 'rows'> {
  readonly load: (signal: AbortSignal) => Promise<readonly T[]>;
  readonly empty: string;
  /** the command that makes the first */
  readonly command?: string;
}

/** What a route lists. */
export function Listed<T>({ load, empty, command, ...table }: ListedProps<T>) {
  const list = useQuery({ queryKey: ['settings', table.name], queryFn: ({ signal }) => load(signal) });
  if (list.isError) return <Failure error={list.error} retry={() => void list.refetch()} />;
  if (list.data === undefined) return <Loading />;
  if (list.data.length === 0)
    return (
      <div className="notice">
        <p>{empty}</p>
        {command !== undefined && <pre>{command}</pre>}
      </div>
    );
  return <Table {...table} rows={list.data} />;
}

/** A change of a list, which is then read anew. */
export function useChange<T, R>(name: string, change: (value: T) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: () => queries.invalidateQueries({ queryKey: ['settings', name] }),
  });
}
