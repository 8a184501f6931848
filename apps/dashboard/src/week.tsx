import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { duration, hitRatio, percent } from './format.ts';
import { useProject } from './use-project.ts';

const LOOK_MS = 60_000;
const DEAREST = 3;

const NAME_LENGTH = 48;
const shortened = (name: string): string => (name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name);

/** What the cache was good for in the last seven days, and what cost most: on one line, above the builds. */
export function Week() {
  const { project, farm, link } = useProject();
  const week = useQuery({
    queryKey: ['week', project],
    queryFn: ({ signal }) => farm.cacheStatistics({ days: 7, by: 'step', limit: DEAREST }, signal),
    refetchInterval: LOOK_MS,
  });
  // The list below is what the page is for: without this it is whole.
  if (week.data === undefined || week.data.builds === 0) return null;
  const { builds, cachedBuilds, total, groups, since } = week.data;
  const dear = groups.filter(({ spentMs }) => spentMs > 0);
  return (
    <section className="week" aria-label="The last seven days">
      <p>
        <Link href={link('/cache', { days: '7' })}>Seven days</Link>: {builds.toLocaleString()}{' '}
        {builds === 1 ? 'build' : 'builds'}, {cachedBuilds.toLocaleString()} of them wholly from the cache ·{' '}
        <strong>{percent(hitRatio(total))}</strong> of the steps did not run ·{' '}
        <strong>{duration(total.savedMs)}</strong> saved
      </p>
      {dear.length > 0 && (
        <p className="quiet">
          What ran longest:{' '}
          {dear.map(({ name, spentMs }, at) => (
            <span key={name}>
              {at > 0 && ' · '}
              <Link href={link('/', { step: name, since })} title={name}>
                {shortened(name)}
              </Link>{' '}
              {duration(spentMs)}
            </span>
          ))}
        </p>
      )}
    </section>
  );
}
