import { lazy, Suspense } from 'react';
import { Link } from 'wouter';
import {
  causesOf,
  type ExplainedCause,
  type Hint,
  hintsOf,
  instructionOf,
  missText,
  partsOf,
  type StepView,
} from '#protocol';
import { bytes, duration } from './format.ts';
import { Hints } from './hints.tsx';
import { Changes } from './miss-changes.tsx';
import { Loading, State, Time } from './parts.tsx';
import { useQueryWord } from './query-state.ts';
import { useProject } from './use-project.ts';
import { keyOf } from './step-key.ts';
import { type Bar, waterfall } from './waterfall.ts';

const StepGraph = lazy(() => import('./step-graph.tsx'));

/** A build's steps over time, or as a graph; one that is open tells why it ran. */
export function BuildSteps({
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
  const causes = new Map(causesOf(shown).map((cause) => [cause.step.vertex, cause]));
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
              hints={hintsOfStep(causes.get(step.vertex))}
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

const hintsOfStep = (cause: ExplainedCause | undefined): readonly Hint[] =>
  cause === undefined ? [] : hintsOf({ ...cause, costMs: cause.spentMs + cause.followedMs });

interface StepRowProps {
  readonly step: StepView;
  /** what to do so that it does not run again for the same cause */
  readonly hints: readonly Hint[];
  readonly bar: Bar | undefined;
  readonly open: boolean;
  readonly toggle: () => void;
}

function StepRow({ step, hints, bar, open, toggle }: StepRowProps) {
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
      {open && <StepDetail step={step} hints={hints} />}
    </li>
  );
}

function StepDetail({ step, hints }: Pick<StepRowProps, 'step' | 'hints'>) {
  const { name, hit, cause, compared, miss, line } = step;
  const { link } = useProject();
  return (
    <div className="detail">
      {hit !== null && (
        <p>
          From <Link href={link(`/b/${hit.buildId}`)}>build {hit.buildId}</Link> in {hit.scope}, by its {hit.key} key:{' '}
          {duration(hit.savedMs)} and {bytes(hit.savedBytes)} saved.
        </p>
      )}
      {cause !== null && <Changes cause={cause} />}
      <Hints hints={hints} />
      {cause === null && miss !== null && <p>{miss}</p>}
      {compared !== null && (
        <p className="quiet">
          Compared with <Link href={link(`/b/${compared.buildId}`)}>build {compared.buildId}</Link> in {compared.scope},{' '}
          <Time at={compared.createdAt} />.
        </p>
      )}
      {line > 0 && (
        <p className="quiet">
          Line {line} of the Dockerfile{instructionOf(name).startsWith('RUN') ? '; the log has what it said.' : '.'}
        </p>
      )}
    </div>
  );
}
