import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { Link } from 'wouter';
import type { MeView } from '#protocol';
import { BuildFailed } from './build-failed.tsx';
import { buildName } from './build-name.ts';
import { BuildHeader, hasEnded, isOwn } from './build-header.tsx';
import { BuildSteps } from './build-steps.tsx';
import { BuildProvenance } from './build-provenance.tsx';
import { Failure, Loading, useNow } from './parts.tsx';
import { useTitle } from './use-title.ts';
import { useProject } from './use-project.ts';

const BuildLayers = lazy(() => import('./build-layers.tsx'));
const LogView = lazy(() => import('./log-view.tsx'));
const LOOK_MS = 1_000;

export default function BuildPage({ id, me }: { readonly id: string; readonly me: MeView }) {
  const { farm } = useProject();
  const build = useQuery({
    queryKey: ['build', id],
    queryFn: ({ signal }) => farm.build(id, signal),
    refetchInterval: ({ state: { data } }) => (data !== undefined && hasEnded(data) ? false : LOOK_MS),
  });
  const ended = build.data !== undefined && hasEnded(build.data);
  const steps = useQuery({
    // Once more when the build has ended.
    queryKey: ['steps', id, ended],
    queryFn: ({ signal }) => farm.steps(id, signal),
    refetchInterval: ended ? false : LOOK_MS,
    placeholderData: (before) => before,
  });
  const nowMs = useNow(500, !ended);
  useTitle(build.data === undefined ? 'Build' : `${buildName(build.data.request)} ${build.data.state}`);
  if (build.data === undefined)
    return build.isError ? (
      <Failure error={build.error} retry={() => void build.refetch()} instead={<Link href="/">All builds</Link>} />
    ) : (
      <Loading />
    );
  const { result, request } = build.data;
  // Only what is named is kept as an image.
  const image = isOwn(build.data, me) && request.tags.length > 0 ? result?.digest : undefined;
  return (
    <article className="build">
      <BuildHeader build={build.data} nowMs={nowMs} me={me} />
      {build.data.failure !== null && <BuildFailed failure={build.data.failure} />}
      {steps.isError && <Failure error={steps.error} retry={() => void steps.refetch()} />}
      <div className="made">
        {steps.data !== undefined && <BuildSteps id={id} steps={steps.data} nowMs={nowMs} />}
        {image !== undefined && steps.data !== undefined && (
          <Suspense fallback={<Loading />}>
            <BuildLayers build={build.data} digest={image} steps={steps.data} />
          </Suspense>
        )}
        {result !== null && request.call === 'build' && <BuildProvenance id={id} made={result.digest !== undefined} />}
      </div>
      <Suspense fallback={<Loading />}>
        <LogView id={id} steps={steps.data ?? []} />
      </Suspense>
    </article>
  );
}
