import { z } from 'zod';
import { BuildState, type BuildView, StepView } from './build-view.ts';
import { ComparedBuild, OwnCause, StepRef } from './miss-cause.ts';
import { Hint, hintsOf } from './hints.ts';

/** A step with a cause of its own, and what ran again because of it. */
export const ExplainedCause = z.object({
  step: StepRef,
  cause: OwnCause,
  spentMs: z.number(),
  followed: z.array(StepRef),
  followedMs: z.number(),
});
export type ExplainedCause = z.infer<typeof ExplainedCause>;

/** GET /v1/builds/:id/explain */
export const BuildExplanation = z.object({
  buildId: z.string(),
  url: z.string(),
  scope: z.string(),
  state: BuildState,
  /** null where nothing missed, or nothing comparable was known */
  compared: ComparedBuild.nullable(),
  /** what ran took this long; what was found saved this much */
  spentMs: z.number(),
  savedMs: z.number(),
  savedBytes: z.number(),
  /** the first cause first, in the order of the steps */
  causes: z.array(ExplainedCause),
  /** RUN, COPY, ADD and WORKDIR, in their order */
  steps: z.array(StepView),
  /** what to do about it */
  hints: z.array(Hint),
});
export type BuildExplanation = z.infer<typeof BuildExplanation>;

/** What the steps of a build tell of its hits and misses. */
export function explanationOf(
  { id, url, scope, state }: Pick<BuildView, 'id' | 'url' | 'scope' | 'state'>,
  vertices: readonly StepView[],
): BuildExplanation {
  const steps = vertices.filter(({ step, empty }) => step && !empty);
  const missed = steps.filter(({ cause }) => cause !== null);
  const causes = causesOf(missed);
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
  return {
    ...{ buildId: id, url, scope, state },
    compared: missed.find(({ compared }) => compared !== null)?.compared ?? null,
    spentMs: sum(missed.map(({ durationMs }) => durationMs ?? 0)),
    savedMs: sum(steps.map(({ hit }) => hit?.savedMs ?? 0)),
    savedBytes: sum(steps.map(({ hit }) => hit?.savedBytes ?? 0)),
    causes,
    steps,
    hints: distinct(causes.flatMap((each) => hintsOf({ ...each, costMs: each.spentMs + each.followedMs }))),
  };
}

/** What several steps would be told is told once. */
const distinct = (hints: readonly Hint[]): Hint[] => [
  ...new Map(hints.map((hint) => [JSON.stringify(hint), hint])).values(),
];

const refOf = ({ vertex, name, line }: StepView): StepRef => ({ vertex, name, line });

/** Steps that ran for a cause of their own, with those that ran because of them. */
export function causesOf(missed: readonly StepView[]): ExplainedCause[] {
  const causes = new Map<string, ExplainedCause>();
  for (const step of missed) {
    const { cause } = step;
    if (cause === null) continue;
    const spentMs = step.durationMs ?? 0;
    if (cause.kind !== 'followed') {
      causes.set(step.vertex, { step: refOf(step), cause, spentMs, followed: [], followedMs: 0 });
      continue;
    }
    // The first step itself may have been found in the cache under its new key.
    const first = { step: cause.step, cause: cause.cause, spentMs: 0, followed: [], followedMs: 0 };
    const known = causes.get(cause.step.vertex) ?? first;
    const followed = [...known.followed, refOf(step)];
    causes.set(cause.step.vertex, { ...known, followed, followedMs: known.followedMs + spentMs });
  }
  return [...causes.values()];
}
