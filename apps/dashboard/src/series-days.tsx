import { useState } from 'react';
import { Link } from 'wouter';
import type { SeriesLine } from './cache-series.tsx';
import { exactly, type Measure } from './series-measures.ts';
import { dayAfter } from './statistics-words.ts';
import { useProject } from './use-project.ts';

interface Shown {
  readonly title: string;
  readonly lines: readonly SeriesLine[];
  readonly days: readonly string[];
  readonly measure: Measure;
}

/** What the chart draws, in numbers; each leads to its builds. */
export function SeriesDays(shown: Shown) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>The same in numbers</summary>
      {open && <Numbers {...shown} />}
    </details>
  );
}

function Numbers({ title, lines, days, measure }: Shown) {
  const { link } = useProject();
  const counted = days.filter((day) => lines.some((line) => line.days.has(day))).reverse();
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={title}>
      <table className="days">
        <thead>
          <tr>
            <th scope="col">day</th>
            {lines.map(({ name }) => (
              <th key={name} scope="col" className="number" title={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {counted.map((day) => (
            <tr key={day}>
              <th scope="row">{day}</th>
              {lines.map(({ name, days: own, builds }) => {
                const counts = own.get(day);
                const text = counts === undefined ? '–' : measure.word(measure.of(counts));
                return (
                  <td key={name} className="number" title={counts && exactly(counts)}>
                    {counts === undefined || builds === undefined ? (
                      text
                    ) : (
                      <Link href={link('/', { ...builds, since: day, until: dayAfter(day) })}>{text}</Link>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
