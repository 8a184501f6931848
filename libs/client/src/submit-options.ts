/** The farm takes in and digests a whole context before it answers. */
export const SUBMIT_ANSWER_MS = 15 * 60_000;

export interface RetryOptions {
  /** makes a repeated submission the same build */
  readonly idempotencyKey: string;
  readonly signal?: AbortSignal | undefined;
}
