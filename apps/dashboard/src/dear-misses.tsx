import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { type DearMiss, partsOf } from '#protocol';
import { farm } from './farm.ts';
import { duration } from './format.ts';
import { Hints } from './hints.tsx';
import { Failure } from './parts.tsx';

/** Which steps that ran cost most, why, and what to do about it. */
export function DearMisses({ days }: { readonly days: number }) {
  const { data, error } = useQuery({
    queryKey: ['misses', days],
    queryFn: ({ signal }) => farm.dearMisses({ days, limit: 10 }, signal),
    placeholderData: (before) => before,
  });
  if (error !== null) return <Failure error={error} />;
  if (data === undefined || data.misses.length === 0) return null;
  return (
    <section>
      <h2>What missed most</h2>
      <ol className="dear">
        {data.misses.map((miss) => (
          <Miss key={`${miss.dockerfile} ${miss.step} ${miss.cause}`} miss={miss} since={data.since} />
        ))}
      </ol>
    </section>
  );
}

function Miss({ miss, since }: { readonly miss: DearMiss; readonly since: string }) {
  const { step, dockerfile, cause, misses, spentMs, last } = miss;
  const builds = `/?${new URLSearchParams({ step, cause, since }).toString()}`;
  return (
    <li>
      <p>
        <strong>{duration(spentMs)}</strong> <code>{step}</code>{' '}
        <span className="quiet">
          {dockerfile}, <Link href={builds}>{misses === 1 ? 'one build' : `${misses} times`}</Link>
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
            {last.why} (<Link href={`/b/${last.buildId}`}>{last.buildId}</Link>)
          </p>
          <Hints hints={last.hints} />
        </>
      )}
    </li>
  );
}
