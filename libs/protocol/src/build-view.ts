import { z } from 'zod';
import { DigestSchema } from '#oci';
import { BuildFailure, BuildResult, HitSource } from './build-event.ts';
import { StoredRequest } from './build-request.ts';
import { ImageName } from './named-context.ts';
import { ComparedBuild, MissCause } from './miss-cause.ts';

export const BuildState = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']);
export type BuildState = z.infer<typeof BuildState>;

/** GET /v1/builds/:id */
export const BuildView = z.object({
  id: z.string(),
  url: z.string(),
  project: z.string(),
  scope: z.string(),
  /** the build that this one repeats */
  retryOf: z.string().optional(),
  /** the build of a later commit for which this one was cancelled */
  supersededBy: z.string().optional(),
  state: BuildState,
  attempt: z.int(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  request: StoredRequest,
  context: z.object({ digest: DigestSchema, files: z.int(), sizeBytes: z.int() }),
  result: BuildResult.nullable(),
  failure: BuildFailure.nullable(),
});
export type BuildView = z.infer<typeof BuildView>;

/** What became of a step, as statistics have it; a miss is one that ran, failed or not. */
export const StepOutcome = z.enum(['hit', 'joined', 'miss']);
export type StepOutcome = z.infer<typeof StepOutcome>;

/** Which builds a list is to hold: those that have one of each kind that is given. */
export const BuildFilter = z.object({
  state: z.array(BuildState).optional(),
  scope: z.array(z.string().max(255)).optional(),
  /** with a tag that one, without any */
  image: z.array(ImageName).optional(),
  branch: z.array(z.string().min(1).max(255)).optional(),
  /** of each the first digits, 4 at least */
  commit: z.array(z.string().regex(/^[0-9a-f]{4,64}$/, '4 to 64 hexadecimal digits')).optional(),
  author: z.array(z.string().min(1).max(255)).optional(),
  /** in the id, a name of the image, branch, commit, author or message; upper and lower case are the same */
  text: z.string().min(1).max(255).optional(),
  /** that had to run a step of this name, as statistics have it */
  step: z.string().min(1).max(255).optional(),
  /** that had to run a step for this cause, in a word of the statistics */
  cause: z.string().min(1).max(64).optional(),
  /** that have a step which was found, joined or run; with `step` that one */
  outcome: StepOutcome.optional(),
  /** accepted then or later */
  since: z.iso.datetime().optional(),
  /** accepted earlier */
  until: z.iso.datetime().optional(),
});
export type BuildFilter = z.infer<typeof BuildFilter>;

/** GET /v1/builds */
export const BuildList = z.object({ builds: z.array(BuildView), next: z.string().nullable() });
export type BuildList = z.infer<typeof BuildList>;

export const StepState = z.enum(['pending', 'running', 'hit', 'run', 'joined', 'done', 'failed', 'cancelled']);
export type StepState = z.infer<typeof StepState>;

/** GET /v1/builds/:id/steps: every vertex of the plan, in its order. */
export const StepView = z.object({
  vertex: DigestSchema,
  name: z.string(),
  stage: z.string(),
  line: z.int(),
  step: z.boolean(),
  state: StepState,
  startedAt: z.iso.datetime().nullable(),
  durationMs: z.number().nullable(),
  hit: HitSource.nullable(),
  miss: z.string().nullable(),
  cause: MissCause.nullable(),
  compared: ComparedBuild.nullable(),
  empty: z.boolean(),
});
export type StepView = z.infer<typeof StepView>;
export const StepList = z.object({ steps: z.array(StepView) });
export type StepList = z.infer<typeof StepList>;

/** RFC 9457, with the code from the table, the field that is wrong, and what to do. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  field: z.string().optional(),
  hint: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The payload of a queued job. The queue is transport only: everything else is in Postgres. */
export const BuildJob = z.strictObject({ buildId: z.string(), attempt: z.int().positive() });
export type BuildJob = z.infer<typeof BuildJob>;

/** A build that waits for a builder. */
export interface QueuedBuild extends BuildJob {
  /** the lowest goes first; among equals who came first */
  readonly turn: number;
  /** of a part: only a builder that runs this platform may have it */
  readonly platform?: string | undefined;
}
