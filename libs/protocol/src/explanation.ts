import { z } from 'zod';
import { BuildState, type BuildView, StepView } from './build-view.ts';
import { ComparedBuild, OwnCause, StepRef } from './miss-cause.ts';
import { instructionOf } from './miss-text.ts';

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
  hints: z.array(z.string()),
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
    hints: causes.flatMap(hintsOf),
  };
}

const refOf = ({ vertex, name, line }: StepView): StepRef => ({ vertex, name, line });

function causesOf(missed: readonly StepView[]): ExplainedCause[] {
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

/** Commands that fetch what a project depends on, with the files that they read. */
const installs: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\bnpm (?:ci|i|install)\b/, ['package.json', 'package-lock.json']],
  [/\byarn(?: install)?(?:\s|$)/, ['package.json', 'yarn.lock']],
  [/\bpnpm (?:i|install|fetch)\b/, ['package.json', 'pnpm-lock.yaml']],
  [/\bpip3? install\b.*-r\b/, ['requirements.txt']],
  [/\bpoetry install\b/, ['pyproject.toml', 'poetry.lock']],
  [/\buv (?:sync|pip install)\b/, ['pyproject.toml', 'uv.lock']],
  [/\bgo mod download\b/, ['go.mod', 'go.sum']],
  [/\bcargo (?:fetch|build)\b/, ['Cargo.toml', 'Cargo.lock']],
  [/\bbundle install\b/, ['Gemfile', 'Gemfile.lock']],
  [/\bcomposer install\b/, ['composer.json', 'composer.lock']],
];

function hintsOf({ step, cause, followed }: ExplainedCause): readonly string[] {
  if (cause.kind !== 'changed') return [];
  const name = instructionOf(step.name);
  return cause.changes.flatMap((change): readonly string[] => {
    if (change.kind === 'image' && change.oldName === change.newName && change.old !== null)
      return [`${change.newName} moves with its tag; FROM ${change.newName}@${change.old} stays`];
    if (change.kind === 'variable' && change.from === 'ARG' && followed.length > 0)
      return [`${change.name} counts for every RUN below its ARG; declare it where it is used`];
    if (change.kind !== 'files') return [];
    const again = followed.map((each) => instructionOf(each.name));
    for (const [command, reads] of installs) {
      const install = again.find((text) => command.test(text));
      if (install === undefined) continue;
      if (change.files.some(({ path }) => reads.some((file) => path === file || path.endsWith(`/${file}`)))) continue;
      return [`copy ${reads.join(' and ')} before ${install}, and the rest (${name}) after it`];
    }
    return [];
  });
}
