import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { type DearMiss, partsOf } from '#protocol';
import { duration } from './format.ts';
import { Hints } from './hints.tsx';
import { Failure } from './parts.tsx';
import { useProject } from './use-project.ts';

/** What took less is nobody's concern. */
const DEAR_MS = 1_000;

/** Which steps that ran cost most, why, and what to do about it. */
export function DearMisses({ days }: { readonly days: number }) {
  const { project, farm } = useProject();
  const { data, error } = useQuery({
    queryKey: ['misses', project, days],
    queryFn: ({ signal }) => farm.dearMisses({ days, limit: 10 }, signal),
    placeholderData: (before) => before,
  });
  if (error !== null) return <Failure error={error} />;
  const dear = data?.misses.filter(({ spentMs }) => spentMs >= DEAR_MS) ?? [];
  if (data === undefined || dear.length === 0) return null;
  return (
    <section>
      <h2>What missed most</h2>
      <ol className="dear">
        {dear.map((miss) => (
          <Miss key={`${miss.dockerfile} ${miss.step} ${miss.cause}`} miss={miss} since={data.since} />
        ))}
      </ol>
    </section>
  );
}

function Miss({ miss, since }: { readonly miss: DearMiss; readonly since: string }) {
  const { step, dockerfile, cause, misses, spentMs, last } = miss;
  const { link } = useProject();
  return (
    <li>
      <p>
        <strong>{duration(spentMs)}</strong> <code>{step}</code>{' '}
        <span className="quiet">
          {dockerfile},{' '}
          <Link href={link('/', { step, cause, since })}>{misses === 1 ? 'one build' : `${misses} times`}</Link>
        </span>
      </p>
      {last !== null && (
        <>
          <p className="quiet">
            {last.isBelow && (
              <>
                <code>{partsOf(last.because.name).text}</code> above it:{' '}
              </>
            )}
            {last.why} (<Link href={link(`/b/${last.buildId}`)}>{last.buildId}</Link>)
          </p>
          <Hints hints={last.hints} />
        </>
      )}
    </li>
  );
}
