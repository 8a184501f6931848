import { z } from 'zod';
import { DigestSchema } from '#oci';

/** A step as people know it. */
export const StepRef = z.object({ vertex: DigestSchema, name: z.string(), line: z.int() });
export type StepRef = z.infer<typeof StepRef>;

/** What is known of one file at one of two times. */
export const FileState = z.object({
  type: z.enum(['file', 'dir', 'symlink', 'char', 'block', 'fifo']),
  mode: z.int(),
  uid: z.int(),
  gid: z.int(),
  /** of a file's bytes */
  digest: DigestSchema.optional(),
  /** of a symbolic link: where it leads */
  link: z.string().optional(),
});
export type FileState = z.infer<typeof FileState>;

export const FileChange = z.object({
  path: z.string(),
  change: z.enum(['added', 'removed', 'changed', 'renamed']),
  /** what of it changed, the most telling first */
  what: z.array(z.enum(['content', 'type', 'mode', 'owner', 'link', 'attributes', 'names'])),
  /** renamed: the path that it had */
  from: z.string().optional(),
  old: FileState.optional(),
  new: FileState.optional(),
});
export type FileChange = z.infer<typeof FileChange>;

/** How many files a change names; of all others there is the count. */
export const MAX_NAMED_FILES = 20;

const text = z.string();
const sides = { old: text.nullable(), new: text.nullable() };

/** One thing that is otherwise than when the step last ran. Values that look like secrets are `***`. */
export const MissChange = z.discriminatedUnion('kind', [
  /** the instruction's text, or the first line of a here-document that differs */
  z.object({ kind: z.literal('instruction'), old: text, new: text }),
  /** a variable that the process sees; null where there is none */
  z.object({ kind: z.literal('variable'), from: z.enum(['ARG', 'ENV']), name: text, ...sides }),
  /** anything else that is set for the step: USER, WORKDIR, --network, platform … */
  z.object({ kind: z.literal('setting'), name: text, ...sides }),
  /** names and digests of the image; null for `scratch` or another kind of base */
  z.object({
    kind: z.literal('image'),
    oldName: text,
    newName: text,
    old: DigestSchema.nullable(),
    new: DigestSchema.nullable(),
  }),
  /** a git repository's ref leads to another commit */
  z.object({ kind: z.literal('commit'), repository: text, ...sides }),
  /** files that the step takes; none are named where one of the two listings is not kept any more */
  z.object({
    kind: z.literal('files'),
    /** `context`, the name of a named context, or a URL */
    source: text,
    total: z.int(),
    files: z.array(FileChange).max(MAX_NAMED_FILES),
  }),
  /** another step comes before it: `old` did, and is gone or stands elsewhere; `new` does now */
  z.object({ kind: z.literal('order'), old: text, new: text, gone: z.boolean() }),
  /** and a step that it stands on gave another result */
  z.object({ kind: z.literal('step'), step: StepRef }),
]);
export type MissChange = z.infer<typeof MissChange>;

const GoneReason = z.enum(['evicted', 'lost', 'disowned']);

/** Why nothing in the cache could be used for a step, as far as the step itself is concerned. */
export const OwnCause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('changed'), changes: z.array(MissChange).min(1) }),
  /** nothing that could be compared has such a step */
  z.object({ kind: z.literal('neverBuilt') }),
  /** its record is no more */
  z.object({
    kind: z.literal('gone'),
    reason: GoneReason,
    at: z.iso.datetime(),
    detail: text.optional(),
  }),
  /** the project has a record, in a scope that this build may not read */
  z.object({ kind: z.literal('scope') }),
  z.object({ kind: z.literal('noCache'), flag: z.enum(['--no-cache', '--no-cache-filter']), stage: text }),
  /** its record has outlived the time that the step gives it */
  z.object({ kind: z.literal('expired'), at: z.iso.datetime() }),
  /** the same step was begun and never came to a result */
  z.object({ kind: z.literal('unfinished'), buildId: z.string() }),
  /** its record stands on another run of a step below it */
  z.object({ kind: z.literal('otherRun') }),
  /** the comparison failed, or what it needs is not kept */
  z.object({ kind: z.literal('unknown') }),
]);
export type OwnCause = z.infer<typeof OwnCause>;

/** All words that statistics have for causes: what changed first, why a record is gone, else the kind of the own cause. */
export const missWords: readonly string[] = [
  ...MissChange.options.map(({ shape }) => shape.kind.value),
  ...GoneReason.options,
  ...OwnCause.options.map(({ shape }) => shape.kind.value).filter((kind) => kind !== 'changed' && kind !== 'gone'),
];

export const MissCause = z.discriminatedUnion('kind', [
  ...OwnCause.options,
  /** nothing of it changed but what it stands on; `cause` is that of the first step, which is named */
  z.object({ kind: z.literal('followed'), step: StepRef, cause: OwnCause }),
]);
export type MissCause = z.infer<typeof MissCause>;

/** The build that a cause is told against. */
export const ComparedBuild = z.object({
  buildId: z.string(),
  scope: z.string(),
  /** it is of a scope that this build's inherits from */
  inherited: z.boolean(),
  createdAt: z.iso.datetime(),
});
export type ComparedBuild = z.infer<typeof ComparedBuild>;
