import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import type { CacheStatistics, MeView, StatisticsBy } from '#protocol';
import { CacheGrowthSection } from './cache-growth.tsx';
import { CacheRerunsSection } from './cache-reruns.tsx';
import { CacheSeriesSection } from './cache-series.tsx';
import { DearMisses } from './dear-misses.tsx';
import { farm } from './farm.ts';
import { bytes, duration, hitRatio, percent } from './format.ts';
import { Failure, Loading } from './parts.tsx';
import { Link } from 'wouter';
import { ProjectChoice, useProjects } from './project-choice.tsx';
import { useQueryWord } from './query-state.ts';
import { buildsOf, wordOf } from './statistics-words.ts';
import { useProject } from './use-project.ts';

const Chart = lazy(() => import('./day-chart.tsx'));
const spans = ['7', '30', '90'];
const MOST_GROUPS = 15;

function useStatistics(days: number, by: StatisticsBy, limit: number) {
  const { project, farm: there } = useProject();
  // Projects are told beside each other, whichever is shown.
  const [of, client] = by === 'project' ? ['', farm] : [project, there];
  return useQuery({
    queryKey: ['statistics', of, days, by, limit],
    queryFn: ({ signal }) => client.cacheStatistics({ days, by, limit }, signal),
    placeholderData: (before) => before,
  });
}

/** What the cache was good for, and what it cost where it was not. */
export default function CachePage({ me }: { readonly me: MeView }) {
  const { project, farm: there } = useProject();
  const projects = useProjects(me);
  const [word, setDays] = useQueryWord('days');
  const days = spans.includes(word) ? Number(word) : 30;
  const byDay = useStatistics(days, 'day', days);
  const usage = useQuery({ queryKey: ['usage', project], queryFn: ({ signal }) => there.cacheUsage(signal) });
  return (
    <>
      <div className="heading">
        <h1>Cache</h1>
        <ProjectChoice me={me} />
        <select aria-label="Time" value={String(days)} onChange={(event) => setDays(event.target.value)}>
          {spans.map((each) => (
            <option key={each} value={each}>
              {each} days
            </option>
          ))}
        </select>
      </div>
      {byDay.isError && <Failure error={byDay.error} retry={() => void byDay.refetch()} />}
      {byDay.isPending && <Loading />}
      {byDay.data?.builds === 0 && (
        <div className="notice">
          <p>
            No build has ended in this time. The second build of the same thing is the one that shows what the cache
            does:
          </p>
          <pre>kiln build . && kiln build .</pre>
        </div>
      )}
      {byDay.data !== undefined && byDay.data.builds > 0 && (
        <>
          <Figures statistics={byDay.data} />
          <Suspense fallback={<Loading />}>
            <Chart days={byDay.data.groups} since={byDay.data.since} />
          </Suspense>
          <CacheSeriesSection days={days} projects={projects.length} />
        </>
      )}
      <DearMisses days={days} />
      <CacheGrowthSection days={days} />
      <CacheRerunsSection days={days} />
      <div className="columns">
        {projects.length > 1 && <Groups title="By project" by="project" days={days} />}
        <Groups title="By step" by="step" days={days} />
        <Groups title="Why" by="cause" days={days} />
        <Groups title="By branch" by="branch" days={days} />
        <Groups title="By scope" by="scope" days={days} />
        <Groups title="By day" by="day" days={days} />
      </div>
      {usage.data !== undefined && (
        <p className="quiet">
          The cache holds {bytes(usage.data.cacheBytes)} of {bytes(usage.data.quotaBytes)}; <code>kiln cache du</code>{' '}
          tells more.
        </p>
      )}
    </>
  );
}

/** Each leads to the builds behind it. */
function Figures({ statistics }: { readonly statistics: CacheStatistics }) {
  const { total, builds, cachedBuilds, since } = statistics;
  const { link } = useProject();
  const figures: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
    ['Hit ratio', percent(hitRatio(total)), { since }],
    ['Time saved', duration(total.savedMs), { since, outcome: 'hit' }],
    ['Time spent on misses', duration(total.spentMs), { since, outcome: 'miss' }],
    [
      'Waited for another build’s run',
      `${total.joined} ${total.joined === 1 ? 'step' : 'steps'}`,
      { since, outcome: 'joined' },
    ],
    ['Builds', `${builds}, ${cachedBuilds} with nothing to run`, { since }],
  ];
  return (
    <dl className="facts big">
      {figures.map(([name, value, query]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <Link href={link('/', query)}>{value}</Link>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Groups({ title, by, days }: { readonly title: string; readonly by: StatisticsBy; readonly days: number }) {
  const { data, error } = useStatistics(days, by, by === 'day' ? days : MOST_GROUPS);
  const { link } = useProject();
  if (error !== null) return <Failure error={error} />;
  if (data === undefined || data.groups.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      <div className="scroll" tabIndex={0} role="region" aria-label={title}>
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">{by}</th>
              <th scope="col" className="number">
                Hit ratio
              </th>
              <th scope="col" className="number">
                Misses
              </th>
              <th scope="col" className="number">
                Spent
              </th>
              <th scope="col" className="number">
                Saved
              </th>
            </tr>
          </thead>
          <tbody>
            {data.groups.map((group) => (
              <tr key={group.name}>
                <td className="wide">
                  {group.name === '' ? (
                    wordOf(by, group.name)
                  ) : (
                    <Link href={link('/', buildsOf(by, group.name, data.since))}>{wordOf(by, group.name)}</Link>
                  )}
                </td>
                <td className="number" data-word="hit ratio">
                  {by === 'cause' ? '–' : percent(hitRatio(group))}
                </td>
                <td className="number" data-word="misses">
                  {group.misses}
                </td>
                <td className="number" data-word="spent">
                  {duration(group.spentMs)}
                </td>
                <td className="number" data-word="saved">
                  {duration(group.savedMs)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
