import { z } from 'zod';

/** A builder of the farm, as it tells of itself. */
export const BuilderView = z.object({
  id: z.string(),
  /** `draining` takes no more builds and goes on with those that it has; `drained` has none left, until it is undrained */
  state: z.enum(['ready', 'draining', 'drained', 'stopped']),
  /** builds at a time */
  slots: z.int(),
  /** builds of the caller's project, and parts of them, that it works on; of others' nothing is told */
  running: z.int(),
  /** that its processor runs, its own first */
  platforms: z.array(z.string()),
  /** that it emulates */
  emulated: z.array(z.string()),
  heartbeatAt: z.iso.datetime(),
});
export type BuilderView = z.infer<typeof BuilderView>;

/** GET /v1/builders: those that were heard of a moment ago, by their ids. */
export const BuilderList = z.object({ builders: z.array(BuilderView) });
export type BuilderList = z.infer<typeof BuilderList>;
