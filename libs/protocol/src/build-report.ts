import { z } from 'zod';

/** First and last line in the Dockerfile, from 1. */
const place = { line: z.int(), endLine: z.int() };

/** A rule that is broken. */
export const LintFinding = z.object({
  rule: z.string(),
  description: z.string(),
  /** a page on the rule */
  url: z.string().optional(),
  message: z.string(),
  ...place,
});
export type LintFinding = z.infer<typeof LintFinding>;

/** Something that a RUN asks the client for. */
const mount = z.object({ name: z.string(), required: z.boolean(), ...place });

/** The Dockerfile that a report is about. */
const file = z.object({ name: z.string(), text: z.string() });

/** What a call gives that builds nothing. */
export const BuildReport = z.discriminatedUnion('call', [
  z.object({
    call: z.literal('check'),
    file,
    findings: z.array(LintFinding),
    /** the Dockerfile does not build */
    error: z
      .object({
        message: z.string(),
        hint: z.string().optional(),
        line: z.int().optional(),
        endLine: z.int().optional(),
      })
      .optional(),
  }),
  z.object({
    call: z.literal('outline'),
    file,
    /** of the target */
    name: z.string().optional(),
    description: z.string().optional(),
    args: z.array(
      z.object({ name: z.string(), value: z.string().optional(), description: z.string().optional(), ...place }),
    ),
    secrets: z.array(mount),
    ssh: z.array(mount),
  }),
  z.object({
    call: z.literal('targets'),
    file,
    targets: z.array(
      z.object({
        name: z.string().optional(),
        description: z.string().optional(),
        /** built when no target is named */
        default: z.boolean(),
        base: z.string(),
        platform: z.string().optional(),
        ...place,
      }),
    ),
  }),
]);
export type BuildReport = z.infer<typeof BuildReport>;
export type ReportOf<C extends BuildReport['call']> = Extract<BuildReport, { readonly call: C }>;
