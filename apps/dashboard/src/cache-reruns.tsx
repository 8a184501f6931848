import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { CacheReruns, StepReruns } from '#protocol';
import { Failure, Time } from './parts.tsx';
import { useProject } from './use-project.ts';

/** Which steps gave other bytes when they ran again on the same inputs. */
export function CacheRerunsSection({ days }: { readonly days: number }) {
  const { project, farm } = useProject();
  const { data, error } = useQuery({
    queryKey: ['reruns', project, days],
    queryFn: ({ signal }) => farm.cacheReruns({ days, limit: 20 }, signal),
    placeholderData: (before) => before,
  });
  if (error !== null) return <Failure error={error} />;
  if (data === undefined || data.steps.length === 0) return null;
  return (
    <section>
      <h2>Run again, the same bytes?</h2>
      <Reruns reruns={data} />
    </section>
  );
}

const all = (count: number, word: string): string => `${count.toLocaleString()} ${word}${count === 1 ? '' : 's'}`;

function Reruns({ reruns: { total, steps, since, more } }: { readonly reruns: CacheReruns }) {
  const differing = steps.filter(({ different }) => different > 0);
  const runs = total.same + total.different;
  return (
    <>
      <p>
        <strong>
          {total.same.toLocaleString()} of {all(runs, 'run')}
        </strong>{' '}
        on the same inputs as before gave the same bytes;{' '}
        {differing.length === 0
          ? `all ${all(total.steps, 'step')} did.`
          : `${total.differing.toLocaleString()} of ${all(total.steps, 'step')} did not always:`}
      </p>
      {differing.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Steps that gave other bytes">
          <table className="cards">
            <thead>
              <tr>
                <th scope="col">step</th>
                <th scope="col" className="number">
                  Same
                </th>
                <th scope="col" className="number">
                  Other
                </th>
                <th scope="col">Last</th>
              </tr>
            </thead>
            <tbody>
              {differing.map((step) => (
                <Row key={step.step} of={step} since={since} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more && differing.length === steps.length && (
        <p className="quiet">
          <code>kiln cache reruns --limit 100</code> tells of more.
        </p>
      )}
    </>
  );
}

function Row({ of: { step, same, different, last }, since }: { readonly of: StepReruns; readonly since: string }) {
  const { link } = useProject();
  return (
    <tr>
      <td className="wide">
        <Link href={link('/', { step, since })}>{step}</Link>
      </td>
      <td className="number" data-word="same">
        {same.toLocaleString()}
      </td>
      <td className="number" data-word="other">
        {different.toLocaleString()}
      </td>
      <td>
        {last !== null && (
          <>
            <Link href={link(`/b/${last.buildId}`)}>{last.buildId}</Link> against{' '}
            <Link href={link(`/b/${last.earlierBuildId}`)}>{last.earlierBuildId}</Link>, <Time at={last.at} />
          </>
        )}
      </td>
    </tr>
  );
}
