import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { buildName } from './build-name.ts';
import { farm } from './farm.ts';
import { Failure, Loading, Time } from './parts.tsx';

const LOOK_MS = 3_000;

export default function FarmPage() {
  const builders = useQuery({
    queryKey: ['builders'],
    queryFn: ({ signal }) => farm.builders(signal),
    refetchInterval: LOOK_MS,
  });
  const queued = useQuery({
    queryKey: ['queue'],
    queryFn: ({ signal }) => farm.builds({ state: ['queued'], limit: 100, signal }),
    refetchInterval: LOOK_MS,
  });
  return (
    <>
      <h1>Farm</h1>
      <h2>Builders</h2>
      {builders.isError && <Failure error={builders.error} />}
      {builders.isPending && <Loading />}
      {builders.data?.length === 0 && (
        <div className="notice">
          <p>No builder was heard of in the last seconds; builds wait. On an embedded farm:</p>
          <pre>kiln up --builders 2</pre>
        </div>
      )}
      {builders.data !== undefined && builders.data.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="Builders">
          <table className="cards">
            <thead>
              <tr>
                <th scope="col">Builder</th>
                <th scope="col">State</th>
                <th scope="col" className="number">
                  Builds
                </th>
                <th scope="col" className="number">
                  At a time
                </th>
                <th scope="col">Platforms</th>
                <th scope="col" className="number">
                  Heard of
                </th>
              </tr>
            </thead>
            <tbody>
              {builders.data.map((each) => (
                <tr key={each.id}>
                  <td className="what one-line">
                    <code>{each.id}</code>
                  </td>
                  <td>{each.state}</td>
                  <td className="number" data-word="builds">
                    {each.running}
                  </td>
                  <td className="number" data-word="at a time">
                    {each.slots}
                  </td>
                  <td>
                    {each.platforms.join(', ')}
                    {each.emulated.length > 0 && <span className="quiet"> emulates {each.emulated.join(', ')}</span>}
                  </td>
                  <td className="number" data-word="heard of">
                    <Time at={each.heartbeatAt} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <h2>Queue</h2>
      {queued.isError && <Failure error={queued.error} />}
      {queued.data?.builds.length === 0 && <p className="quiet">Nothing of this project waits.</p>}
      {queued.data !== undefined && queued.data.builds.length > 0 && (
        <ul>
          {queued.data.builds.map(({ id, request, createdAt }) => (
            <li key={id}>
              <Link href={`/b/${id}`}>{buildName(request)}</Link> · {request.priority} · <Time at={createdAt} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
