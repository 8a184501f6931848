import type { BuildRequest } from '#protocol';
import type { Submission, SubmittedContext } from '../builds/submission.ts';

/** A request that brings no context. */
export const bareSubmission = (request: BuildRequest): Submission => ({ request, references: {}, contexts: nothing() });

async function* nothing(): AsyncGenerator<SubmittedContext> {
  yield* [];
}
