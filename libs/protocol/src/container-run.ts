import { z } from 'zod';

const text = (max: number): z.ZodString =>
  z
    .string()
    .max(max)
    .regex(/^[^\0]*$/, 'holds a NUL');
const words = z.array(text(131_072)).max(4096);
/** A directory in the container. */
const directory = text(4096).regex(/^\//, 'is no absolute path');

/** What a container of an image runs, and as what: docker's words for it. */
export const ContainerRun = z.strictObject({
  /** instead of the image's CMD */
  command: words.default([]),
  /** instead of the image's ENTRYPOINT, whose CMD does not count then; empty for none */
  entrypoint: words.optional(),
  /** besides the image's; stored and shown, so nothing that is secret may stand in it */
  env: z
    .record(text(255).regex(/^[^=]+$/, 'is no name of a variable'), text(131_072))
    .refine((all) => Object.keys(all).length <= 1024, { error: 'at most 1024 variables' })
    .default({}),
  /** `name|id[:group|gid]`, instead of the image's USER */
  user: text(255).optional(),
  /** instead of the image's WORKDIR */
  workdir: directory.min(1).optional(),
  /** empty directories in memory */
  tmpfs: z
    .array(z.strictObject({ target: directory, sizeBytes: z.int().positive().optional() }))
    .max(64)
    .default([]),
});
export type ContainerRun = z.infer<typeof ContainerRun>;
