import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { CacheGrowth, CacheGrowthDay } from '#protocol';
import { bytes, duration } from './format.ts';
import { LinesKey } from './lines-key.tsx';
import { Failure, Loading } from './parts.tsx';
import { dayAfter } from './statistics-words.ts';
import { useProject } from './use-project.ts';

const Chart = lazy(() => import('./line-chart.tsx'));

/** How large the cache was day by day, what was evicted, and what that cost later. */
export function CacheGrowthSection({ days }: { readonly days: number }) {
  const { project, farm } = useProject();
  const { data, error } = useQuery({
    queryKey: ['growth', project, days],
    queryFn: ({ signal }) => farm.cacheGrowth({ days }, signal),
    placeholderData: (before) => before,
  });
  if (error !== null) return <Failure error={error} />;
  if (data?.days.some(isKnown) !== true) return null;
  return (
    <section>
      <h2>Size and eviction</h2>
      <Growth growth={data} />
    </section>
  );
}

/** Of a day, or of all. */
type Taken = Pick<CacheGrowthDay, 'evicted' | 'missed'>;

const isKnown = ({ bytes: held, evicted, missed }: CacheGrowthDay): boolean =>
  held !== null || evicted.results > 0 || missed.steps > 0;

const resultsOf = (count: number): string => `${count.toLocaleString()} ${count === 1 ? 'result' : 'results'}`;
const sizeOf = (count: number | null): string => (count === null ? '–' : bytes(count));

function Growth({ growth }: { readonly growth: CacheGrowth }) {
  const { days, total, since } = growth;
  const [pointed, setPointed] = useState<number | null>(null);
  const drawn = useMemo(
    () => ({
      days: days.map(({ day }) => day),
      values: [days.map((day) => day.bytes), days.map(({ evicted }) => evicted.bytes)],
      word: bytes,
    }),
    [days],
  );
  const day = pointed === null ? undefined : days[pointed];
  const held = day ?? days.findLast((each) => each.bytes !== null);
  const { evicted, missed }: Taken = day ?? total;
  return (
    <>
      <div className="lines-shown">
        <Suspense fallback={<Loading />}>
          <Chart label="What the cache held and what was evicted, day by day" lines={drawn} onDay={setPointed} />
        </Suspense>
        <div>
          <LinesKey
            of="cache"
            when={day?.day ?? 'now, all days'}
            lines={[
              {
                name: held?.results == null ? 'held' : `held, ${resultsOf(held.results)}`,
                value: sizeOf(held?.bytes ?? null),
                exact: `${held?.bytes ?? 'unknown'} bytes of ${growth.quotaBytes}`,
              },
              {
                name: `evicted, ${resultsOf(evicted.results)}`,
                value: bytes(evicted.bytes),
                exact: `${evicted.bytes} bytes, made in ${evicted.costMs} ms`,
              },
            ]}
          />
          <Cost missed={missed} since={day?.day ?? since} until={day === undefined ? undefined : dayAfter(day.day)} />
        </div>
      </div>
      <GrowthDays days={days} />
    </>
  );
}

function Cost(props: { readonly missed: Taken['missed']; readonly since: string; readonly until: string | undefined }) {
  const { missed, since, until } = props;
  const { link } = useProject();
  if (missed.steps === 0) return <p className="quiet">Nothing that was evicted had to run again.</p>;
  const query = { cause: 'evicted', since, ...(until === undefined ? {} : { until }) };
  return (
    <p>
      <Link href={link('/', query)}>
        {missed.steps.toLocaleString()} {missed.steps === 1 ? 'step' : 'steps'}
      </Link>{' '}
      ran again for what was evicted: {duration(missed.spentMs)}
    </p>
  );
}

/** What the chart draws, in numbers. */
function GrowthDays({ days }: { readonly days: readonly CacheGrowthDay[] }) {
  const { link } = useProject();
  const heads = ['held', 'results', 'evicted', 'evicted results', 'ran again', 'for'];
  return (
    <details>
      <summary>The same in numbers</summary>
      <div className="scroll" tabIndex={0} role="region" aria-label="Size and eviction by day">
        <table className="days">
          <thead>
            <tr>
              <th scope="col">day</th>
              {heads.map((head) => (
                <th key={head} scope="col" className="number">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days
              .filter(isKnown)
              .reverse()
              .map(({ day, bytes: held, results, evicted, missed }) => (
                <tr key={day}>
                  <th scope="row">{day}</th>
                  <td className="number" title={`${held ?? 'unknown'} bytes`}>
                    {sizeOf(held)}
                  </td>
                  <td className="number">{results?.toLocaleString() ?? '–'}</td>
                  <td className="number" title={`${evicted.bytes} bytes, made in ${evicted.costMs} ms`}>
                    {bytes(evicted.bytes)}
                  </td>
                  <td className="number">{evicted.results.toLocaleString()}</td>
                  <td className="number">
                    {missed.steps === 0 ? (
                      0
                    ) : (
                      <Link href={link('/', { cause: 'evicted', since: day, until: dayAfter(day) })}>
                        {missed.steps.toLocaleString()}
                      </Link>
                    )}
                  </td>
                  <td className="number" title={`${missed.spentMs} ms`}>
                    {duration(missed.spentMs)}
                  </td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
