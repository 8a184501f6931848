import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useMemo, useState } from 'react';
import type { CacheSeries, SeriesBy, SeriesDay } from '#protocol';
import { farm } from './farm.ts';
import { MOST_LINES } from './line-looks.ts';
import { LinesKey } from './lines-key.tsx';
import { Failure, Loading } from './parts.tsx';
import { useQueryWord } from './query-state.ts';
import { SeriesDays } from './series-days.tsx';
import { exactly, type Measure, type MeasureName, measures, measuresOf, nothing } from './series-measures.ts';
import { buildsOf, dayAfter, daysBetween, wordOf } from './statistics-words.ts';
import { useProject } from './use-project.ts';

const Chart = lazy(() => import('./line-chart.tsx'));

const kinds: readonly SeriesBy[] = ['branch', 'project', 'scope', 'step', 'cause'];

/** A line of the chart, which is a row of the table. */
export interface SeriesLine {
  readonly name: string;
  readonly total: CacheSeries['total'];
  readonly days: ReadonlyMap<string, SeriesDay>;
  /** the builds behind it; none where they cannot be told apart */
  readonly builds?: Readonly<Record<string, string>>;
}

/** How the cache did day by day, a line for each branch, project, scope, step or cause. */
export function CacheSeriesSection({ days, projects }: { readonly days: number; readonly projects: number }) {
  const { project, farm: there } = useProject();
  const [byWord, setBy] = useQueryWord('by');
  const [measureWord, setMeasure] = useQueryWord('measure');
  const offered = kinds.filter((kind) => kind !== 'project' || projects > 1);
  const by = offered.find((kind) => kind === byWord) ?? 'branch';
  const named = measuresOf(by);
  const measure = named.find((name) => name === measureWord) ?? named[0] ?? 'ratio';
  const [of, client] = by === 'project' ? ['', farm] : [project, there];
  const { data, error } = useQuery({
    queryKey: ['series', of, days, by],
    queryFn: ({ signal }) => client.cacheSeries({ days, by, limit: MOST_LINES }, signal),
    placeholderData: (before) => before,
  });
  return (
    <section>
      <div className="heading">
        <h2>Over time</h2>
        <select aria-label="What is drawn" value={measure} onChange={(event) => setMeasure(event.target.value)}>
          {named.map((name) => (
            <option key={name} value={name}>
              {measures[name].title}
            </option>
          ))}
        </select>
        <select aria-label="Lines" value={by} onChange={(event) => setBy(event.target.value)}>
          {offered.map((kind) => (
            <option key={kind} value={kind}>
              by {kind}
            </option>
          ))}
        </select>
      </div>
      {error !== null && <Failure error={error} />}
      {data?.by === by && data.days.length > 0 && <Series series={data} measure={measure} />}
    </section>
  );
}

function Series({ series, measure: name }: { readonly series: CacheSeries; readonly measure: MeasureName }) {
  const measure: Measure = measures[name];
  const { link } = useProject();
  const [pointed, setPointed] = useState<number | null>(null);
  const days = useMemo(() => daysBetween(series.since, series.until), [series]);
  const lines = useMemo(() => linesOf(series, measure), [series, measure]);
  const drawn = useMemo(
    () => ({
      days,
      values: lines.map((line) => days.map((day) => measure.of(line.days.get(day) ?? nothing))),
      top: measure.top,
      word: measure.word,
    }),
    [days, lines, measure],
  );
  const day = pointed === null ? undefined : days[pointed];
  const title = `${measure.title} by ${series.by}`;
  return (
    <>
      <div className="lines-shown">
        <Suspense fallback={<Loading />}>
          <Chart label={`${title}, day by day`} lines={drawn} onDay={setPointed} />
        </Suspense>
        <LinesKey
          of={series.by}
          when={day ?? 'all days'}
          lines={lines.map(({ name: line, total, days: own, builds }) => {
            const counts = day === undefined ? total : (own.get(day) ?? nothing);
            const when = day === undefined ? {} : { since: day, until: dayAfter(day) };
            return {
              name: line,
              value: measure.word(measure.of(counts)),
              exact: exactly(counts),
              href: builds && link('/', { ...builds, ...when }),
            };
          })}
        />
      </div>
      <SeriesDays title={title} lines={lines} days={days} measure={measure} />
    </>
  );
}

function linesOf({ groups, others, since, by }: CacheSeries, { outcome }: Measure): readonly SeriesLine[] {
  const byDay = (days: readonly SeriesDay[]) => new Map(days.map((day) => [day.day, day]));
  const lines: SeriesLine[] = groups.map(({ name, total, days }) => ({
    ...{ name: wordOf(by, name), total, days: byDay(days) },
    ...(name === '' ? {} : { builds: { ...buildsOf(by, name, since), ...(outcome && { outcome }) } }),
  }));
  if (others === null) return lines;
  return [...lines, { name: `${others.groups} others`, total: others.total, days: byDay(others.days) }];
}
