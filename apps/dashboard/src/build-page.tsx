import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { Link, useLocation } from 'wouter';
import {
  type BuildView,
  type ContainerRun,
  instructionOf,
  type MeView,
  missText,
  partsOf,
  type StepView,
} from '#protocol';
import { buildName } from './build-name.ts';
import { tookText } from './builds-page.tsx';
import { farm } from './farm.ts';
import { bytes, duration, short } from './format.ts';
import { Changes } from './miss-changes.tsx';
import { Copy, Failure, Loading, State, StepsBar, Time, useNow } from './parts.tsx';
import { useQueryWord } from './query-state.ts';
import { keyOf } from './step-key.ts';
import { type Bar, waterfall } from './waterfall.ts';

const StepGraph = lazy(() => import('./step-graph.tsx'));
const BuildLayers = lazy(() => import('./build-layers.tsx'));
const LogView = lazy(() => import('./log-view.tsx'));
const LOOK_MS = 1_000;

const hasEnded = ({ state }: BuildView): boolean => state !== 'queued' && state !== 'running';

export default function BuildPage({ id, me }: { readonly id: string; readonly me: MeView }) {
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
  if (build.data === undefined)
    return build.isError ? <Failure error={build.error} retry={() => void build.refetch()} /> : <Loading />;
  const { result, request } = build.data;
  // Only what is named is kept as an image.
  const image = request.tags.length > 0 ? result?.digest : undefined;
  return (
    <article className="build">
      <BuildHeader build={build.data} nowMs={nowMs} me={me} />
      {build.data.failure !== null && <BuildFailed failure={build.data.failure} />}
      {steps.isError && <Failure error={steps.error} retry={() => void steps.refetch()} />}
      {steps.data !== undefined && <Steps id={id} steps={steps.data} nowMs={nowMs} />}
      {image !== undefined && steps.data !== undefined && (
        <Suspense fallback={<Loading />}>
          <BuildLayers build={build.data} digest={image} steps={steps.data} />
        </Suspense>
      )}
      <Suspense fallback={<Loading />}>
        <LogView id={id} steps={steps.data ?? []} />
      </Suspense>
    </article>
  );
}

function BuildHeader({ build, nowMs, me }: { readonly build: BuildView; readonly nowMs: number; readonly me: MeView }) {
  const { request, result } = build;
  const { branch, commit, author, message, url } = request.source;
  // What is pushed or run has neither steps nor files.
  const isBuild = request.call !== 'push' && request.call !== 'run';
  return (
    <header className="build-header">
      <div className="heading">
        <h1>{buildName(request)}</h1>
        <State of={build.state} />
        <Actions build={build} me={me} />
      </div>
      {message !== undefined && <p>{message}</p>}
      <dl className="facts">
        <Fact name="Build" value={<Copy text={build.id} label="the build’s id" />} />
        <Fact name="Branch" value={branch ?? `scope ${build.scope}`} />
        {commit !== undefined && (
          <Fact name="Commit" value={<Copy text={commit} shown={commit.slice(0, 10)} label="the commit" />} />
        )}
        {author !== undefined && <Fact name="Author" value={author} />}
        <Fact name="Begun" value={<Time at={build.createdAt} />} />
        <Fact name="Took" value={tookText(build, nowMs) || '–'} />
        {isBuild && result !== null && <Fact name="Saved" value={duration(result.savedMs)} />}
        {isBuild && result !== null && (
          <Fact
            name="Steps"
            value={
              <>
                {result.steps.hit} of {result.steps.total} from the cache <StepsBar steps={result.steps} />
              </>
            }
          />
        )}
        {result?.digest !== undefined && (
          <Fact
            name="Image"
            value={
              <>
                <Copy text={result.digest} shown={`sha256:${short(result.digest)}…`} label="the digest" />{' '}
                {request.tags.length > 0 && <Link href={`/images/${result.digest}`}>layers</Link>}
              </>
            }
          />
        )}
        {request.run !== undefined && <Fact name="Command" value={<code>{commandOf(request.run)}</code>} />}
        {isBuild && <Fact name="Context" value={`${build.context.files} files, ${bytes(build.context.sizeBytes)}`} />}
        {request.call !== 'run' && result !== null && <Fact name="Pushed" value={bytes(result.bytes.pushed)} />}
        {build.retryOf !== undefined && (
          <Fact name="Repeats" value={<Link href={`/b/${build.retryOf}`}>{build.retryOf}</Link>} />
        )}
        {url !== undefined && (
          <Fact
            name="Job"
            value={
              <a href={url} rel="noreferrer">
                {new URL(url).host}
              </a>
            }
          />
        )}
      </dl>
    </header>
  );
}

/** As it was written behind the image. */
function commandOf({ entrypoint = [], command }: ContainerRun): string {
  return [...entrypoint, ...command].join(' ') || 'what the image says';
}

function Fact({ name, value }: { readonly name: string; readonly value: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Actions({ build, me }: { readonly build: BuildView; readonly me: MeView }) {
  const queries = useQueryClient();
  const [, go] = useLocation();
  const cancel = useMutation({
    mutationFn: () => farm.cancel(build.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ['build', build.id] }),
  });
  const retry = useMutation({
    mutationFn: () => farm.retry(build.id, {}, { idempotencyKey: crypto.randomUUID() }),
    onSuccess: ({ id }) => go(`/b/${id}`),
  });
  if (!me.permissions.includes('build')) return null;
  const { mutate, isPending, error, word } = hasEnded(build)
    ? { ...retry, word: 'Retry' }
    : { ...cancel, word: 'Cancel' };
  return (
    <span className="actions">
      <button type="button" onClick={() => mutate()} disabled={isPending}>
        {word}
      </button>
      {error !== null && <Failure error={error} />}
    </span>
  );
}

function BuildFailed({ failure }: { readonly failure: NonNullable<BuildView['failure']> }) {
  const { message, hint, excerpt, tail } = failure;
  return (
    <section className="notice bad" aria-label="Why it failed">
      <p>{message}</p>
      {hint !== undefined && <p className="quiet">{hint}</p>}
      {tail !== undefined && tail.length > 0 && <pre tabIndex={0}>{tail.join('\n')}</pre>}
      {excerpt !== undefined && (
        <pre tabIndex={0}>
          {excerpt.lines.map((line, at) => {
            const number = excerpt.firstLine + at;
            const hit = number >= excerpt.line && number <= (excerpt.endLine ?? excerpt.line);
            return `${hit ? '>' : ' '} ${String(number).padStart(4)} | ${line}\n`;
          })}
        </pre>
      )}
    </section>
  );
}

function Steps({
  id,
  steps,
  nowMs,
}: {
  readonly id: string;
  readonly steps: readonly StepView[];
  readonly nowMs: number;
}) {
  const [chosen, choose] = useQueryWord('step');
  const [view, setView] = useQueryWord('view');
  const shown = steps.filter(({ empty }) => !empty);
  const { spanMs, bars } = waterfall(shown, nowMs);
  if (shown.length === 0) return <p className="quiet">No step is planned yet.</p>;
  return (
    <section aria-label="Steps">
      <div className="heading">
        <h2>
          Steps <span className="quiet">{spanMs === 0 ? '' : duration(spanMs)}</span>
        </h2>
        <button type="button" aria-pressed={view === 'graph'} onClick={() => setView(view === 'graph' ? '' : 'graph')}>
          Graph
        </button>
      </div>
      {view === 'graph' && (
        <Suspense fallback={<Loading />}>
          <StepGraph id={id} steps={steps} chosen={chosen} choose={choose} />
        </Suspense>
      )}
      <ol className="steps">
        {shown.map((step) => {
          const key = keyOf(step);
          return (
            <StepRow
              key={step.vertex}
              step={step}
              bar={bars.get(step.vertex)}
              open={chosen === key}
              toggle={() => choose(chosen === key ? '' : key)}
            />
          );
        })}
      </ol>
    </section>
  );
}

interface StepRowProps {
  readonly step: StepView;
  readonly bar: Bar | undefined;
  readonly open: boolean;
  readonly toggle: () => void;
}

function StepRow({ step, bar, open, toggle }: StepRowProps) {
  const { place } = partsOf(step.name);
  return (
    <li className={open ? 'open' : undefined}>
      <button type="button" className="step" aria-expanded={open} onClick={toggle}>
        <span className="place quiet">{place}</span>
        <span className="name">{instructionOf(step.name)}</span>
        <State of={step.state} />
        <span className="number">
          {(step.durationMs ?? 0) < 1 || step.state === 'hit' ? '' : duration(step.durationMs ?? 0)}
        </span>
        <span className="bar" aria-hidden="true">
          {bar !== undefined && (
            <span
              className={`fill ${step.state}`}
              style={{ left: `${bar.left * 100}%`, width: `max(4px, ${bar.width * 100}%)` }}
            />
          )}
        </span>
      </button>
      {step.cause !== null && !open && <p className="cause quiet">miss: {missText(step.cause)}</p>}
      {open && <StepDetail step={step} />}
    </li>
  );
}

function StepDetail({ step: { hit, cause, compared, miss, line } }: { readonly step: StepView }) {
  return (
    <div className="detail">
      {hit !== null && (
        <p>
          From <Link href={`/b/${hit.buildId}`}>build {hit.buildId}</Link> in {hit.scope}, by its {hit.key} key:{' '}
          {duration(hit.savedMs)} and {bytes(hit.savedBytes)} saved.
        </p>
      )}
      {cause !== null && <Changes cause={cause} />}
      {cause === null && miss !== null && <p>{miss}</p>}
      {compared !== null && (
        <p className="quiet">
          Compared with <Link href={`/b/${compared.buildId}`}>build {compared.buildId}</Link> in {compared.scope},{' '}
          <Time at={compared.createdAt} />.
        </p>
      )}
      {line > 0 && <p className="quiet">Line {line} of the Dockerfile. Its log is below.</p>}
    </div>
  );
}
