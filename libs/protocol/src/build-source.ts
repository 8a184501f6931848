import { z } from 'zod';

const line = (max: number) => z.string().min(1).max(max);

/** What a build is of, as its client tells: shown, searched and compared, never believed. */
export const BuildSource = z.strictObject({
  /** where the code is, without credentials: https://git.example/acme/web */
  repository: line(512)
    .refine((text) => !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*:[^/?#]*@/i.test(text), 'a URL without a password')
    .optional(),
  branch: line(255).optional(),
  /** in full, SHA-1 or SHA-256 */
  commit: z
    .string()
    .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'the 40 or 64 digits of a commit')
    .optional(),
  author: line(255).optional(),
  /** the first line of the commit's message */
  message: line(500).optional(),
  pullRequest: line(32).optional(),
  /** the page of the job that builds */
  url: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .optional(),
});
export type BuildSource = z.infer<typeof BuildSource>;
