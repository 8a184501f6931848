import { z } from 'zod';
import { DescriptorSchema, DigestSchema, PlatformSchema } from '#oci';
import { BuildReport } from './build-report.ts';
import { ComparedBuild, MissCause } from './miss-cause.ts';

const atMs = z.int();
/** Of a step that another builder ran as a part of this build: the event of the part that this one is. */
const from = z.object({ part: z.string(), seq: z.int() }).optional();
export type EventOrigin = NonNullable<z.infer<typeof from>>;

/** Where a hit's result came from. */
export const HitSource = z.object({
  key: z.enum(['definition', 'content', 'trace']),
  /** its id; absent in what was told before it was noted */
  result: DigestSchema.optional(),
  buildId: z.string(),
  builderId: z.string(),
  scope: z.string(),
  savedMs: z.number(),
  savedBytes: z.number(),
});
export type HitSource = z.infer<typeof HitSource>;

export const PlannedVertex = z.object({
  vertex: DigestSchema,
  /** as shown: `[build 2/5] RUN make` */
  name: z.string(),
  stage: z.string(),
  /** line in the Dockerfile, 0 for none */
  line: z.int(),
  /** counts as a step for the user (RUN, COPY, ADD, WORKDIR) */
  step: z.boolean(),
  inputs: z.array(DigestSchema),
});
export type PlannedVertex = z.infer<typeof PlannedVertex>;

/** A line of the Dockerfile that `docker build` counts as a step, in the file's order. */
export const PlannedInstruction = z.object({
  line: z.int(),
  /** as it was written, on one line */
  text: z.string(),
  /** of a stage that it makes an image of; absent for an ARG before the first FROM */
  stage: z.int().optional(),
  /** a trigger of the base */
  onbuild: z.boolean().optional(),
  /** whose result it is; absent where it changes the config alone */
  vertex: DigestSchema.optional(),
});
export type PlannedInstruction = z.infer<typeof PlannedInstruction>;

/** Where in the Dockerfile something went wrong, with the text around it. */
export const Excerpt = z.object({
  file: z.string(),
  /** the line in question, from 1 */
  line: z.int(),
  /** where the instruction in question ends, when that is further down */
  endLine: z.int().optional(),
  /** number of the first of `lines` */
  firstLine: z.int(),
  lines: z.array(z.string()),
});
export type Excerpt = z.infer<typeof Excerpt>;

export const StepCounts = z.object({ total: z.int(), hit: z.int(), run: z.int(), joined: z.int() });
export type StepCounts = z.infer<typeof StepCounts>;

export const ByteCounts = z.object({ contextSent: z.int(), pulled: z.int(), pushed: z.int() });

/** A file that a build made, to be fetched from /outputs/:n. */
export const OutputFile = z.object({
  type: z.enum(['oci', 'docker', 'tar', 'local', 'cache']),
  digest: DigestSchema,
  sizeBytes: z.int(),
});
export type OutputFile = z.infer<typeof OutputFile>;

/** What came of the caches that a build named. */
export const CacheReport = z.object({
  /** in the order of the request's sources */
  imports: z.array(
    z.object({
      /** a reference, or the context of a layout */
      source: z.string(),
      /** `unused`: the farm had every step itself, and nobody waited for it */
      state: z.enum(['read', 'empty', 'failed', 'unused']),
      /** results that it has */
      results: z.int(),
      /** steps that took theirs from it */
      hits: z.int(),
      message: z.string().optional(),
    }),
  ),
  /** in the order of the request's targets */
  exports: z.array(
    z.object({
      type: z.enum(['registry', 'inline', 'local']),
      /** the reference of a registry */
      target: z.string().optional(),
      /** of the manifest; absent for a cache in an image */
      descriptor: DescriptorSchema.optional(),
      results: z.int(),
      uploadedBytes: z.int(),
      /** why it was not written, where that is no failure */
      message: z.string().optional(),
    }),
  ),
});
export type CacheReport = z.infer<typeof CacheReport>;

/** What a finished build gives. */
export const BuildResult = z.object({
  /** of the manifest, of several platforms of the index; absent when the build had no output */
  digest: DigestSchema.optional(),
  /** of the same, with its media type; of the last output that is an image */
  descriptor: DescriptorSchema.extend({
    annotations: z.record(z.string(), z.string()).optional(),
    platform: PlatformSchema.optional(),
  }).optional(),
  /** of several platforms that of the first; absent when only a report was asked for */
  configDigest: DigestSchema.optional(),
  /** what a call other than `build` gives */
  report: BuildReport.optional(),
  /** full names that were pushed or tagged */
  names: z.array(z.string()),
  steps: StepCounts,
  bytes: ByteCounts,
  durationMs: z.int(),
  savedMs: z.int(),
  /** in the order of the request's outputs that are files, then of its caches that are */
  outputs: z.array(OutputFile),
  /** absent where the build named no cache */
  cache: CacheReport.optional(),
});
export type BuildResult = z.infer<typeof BuildResult>;

export const BuildFailure = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  vertex: DigestSchema.optional(),
  /** name of the failed vertex as shown */
  name: z.string().optional(),
  exitCode: z.int().optional(),
  excerpt: Excerpt.optional(),
  /** the step's last lines */
  tail: z.array(z.string()).optional(),
  /** of a part of a build: something that it was given is gone. The blobs that are known to be lost, and what had been pulled */
  repair: z.object({ lost: z.array(DigestSchema), pulled: z.int() }).optional(),
});
export type BuildFailure = z.infer<typeof BuildFailure>;

/** Of a step that ran: why nothing in the cache could be used. */
const missed = {
  /** on one line */
  miss: z.string().optional(),
  cause: MissCause.optional(),
  /** absent where nothing comparable was known */
  compared: ComparedBuild.optional(),
};

/** One union of what happens in a build; CLI, dashboard, log and step table fold it. */
export const BuildEvent = z.discriminatedUnion('type', [
  /** a builder took the build; attempts count from 1 */
  z.object({ type: z.literal('started'), atMs, builderId: z.string(), attempt: z.int() }),
  /** the graph is known; may come again after a take-over */
  z.object({
    type: z.literal('planned'),
    atMs,
    vertices: z.array(PlannedVertex),
    /** of a build for one platform whose result is an image */
    instructions: z.array(PlannedInstruction).optional(),
  }),
  /** the image that an instruction gave: one of `instructions`, by its place from 0, and the digest of the config */
  z.object({ type: z.literal('intermediate'), atMs, instruction: z.int().min(0), id: DigestSchema }),
  /** a layer has come into a repository, or was there */
  z.object({
    type: z.literal('layerPushed'),
    atMs,
    /** the full name under which the image is pushed */
    reference: z.string(),
    digest: DigestSchema,
    diffId: DigestSchema,
    sizeBytes: z.int(),
    outcome: z.enum(['pushed', 'mounted', 'exists']),
    /** the repository of the same registry that it was mounted from */
    mountedFrom: z.string().optional(),
  }),
  z.object({
    type: z.literal('vertexStarted'),
    atMs,
    vertex: DigestSchema,
    /** why nothing in the cache could be used */
    miss: z.string().optional(),
    from,
  }),
  z.object({
    type: z.literal('vertexDone'),
    atMs,
    vertex: DigestSchema,
    outcome: z.enum(['hit', 'run', 'joined', 'done']),
    durationMs: z.number(),
    hit: HitSource.optional(),
    /** WORKDIR that had nothing to create: not counted as a step */
    empty: z.boolean().optional(),
    ...missed,
    from,
  }),
  z.object({
    type: z.literal('vertexFailed'),
    atMs,
    vertex: DigestSchema,
    durationMs: z.number(),
    message: z.string(),
    /** of a process that ended by itself, as it would on another node */
    exitCode: z.int().optional(),
    ...missed,
    from,
  }),
  /** a piece of a step's output; stream 1 is standard output, 2 standard error */
  z.object({
    type: z.literal('log'),
    atMs,
    vertex: DigestSchema,
    stream: z.union([z.literal(1), z.literal(2)]),
    text: z.string(),
    from,
  }),
  /** work without a vertex of its own (`exporting`, `pushing`), or a vertex' parts (layers pulled) */
  z.object({
    type: z.literal('progress'),
    atMs,
    id: z.string(),
    name: z.string(),
    vertex: DigestSchema.optional(),
    current: z.number(),
    total: z.number().optional(),
    unit: z.enum(['bytes', 'items']),
    done: z.boolean(),
    from,
  }),
  z.object({
    type: z.literal('warning'),
    atMs,
    message: z.string(),
    line: z.int().optional(),
    /** the lint rule that is broken, with which the message begins */
    rule: z.string().optional(),
    /** a page on the rule */
    url: z.string().optional(),
    /** the instruction */
    excerpt: Excerpt.optional(),
  }),
  /** all that was asked for is out, and stays so: the build has succeeded, and its cache is still being written */
  z.object({ type: z.literal('delivered'), atMs, result: BuildResult }),
  z.object({ type: z.literal('succeeded'), atMs, result: BuildResult }),
  z.object({ type: z.literal('failed'), atMs, failure: BuildFailure }),
  z.object({ type: z.literal('cancelled'), atMs, reason: z.string() }),
]);
export type BuildEvent = z.infer<typeof BuildEvent>;

/** The last event of every build. */
export function isFinal(event: BuildEvent): boolean {
  return event.type === 'succeeded' || event.type === 'failed' || event.type === 'cancelled';
}

/** An event with its number in the build: from 1, without gaps, the id of the server-sent event. */
export const NumberedEvent = z.object({ seq: z.int().positive(), event: BuildEvent });
export type NumberedEvent = Readonly<z.infer<typeof NumberedEvent>>;
