import { type ErrorCode, isKilnError, messageOf } from '#std';
import { parentPort, workerData } from 'node:worker_threads';
import { type Planned, planFiles, type PlanInput } from './plan-files.ts';

/** What the thread says: once, and then it ends. */
export type PlanReply =
  | { readonly planned: Planned }
  | {
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
      readonly field: string | undefined;
      readonly line: number | undefined;
    };

function reply(input: PlanInput): PlanReply {
  try {
    return { planned: planFiles(input) };
  } catch (thrown) {
    if (isKilnError(thrown)) {
      const { code, message, hint, field, line } = thrown;
      return { code, message, hint, field, line };
    }
    const none = { hint: undefined, field: undefined, line: undefined };
    // The end of the stack, or of what a list or a text can be.
    if (thrown instanceof RangeError) {
      const message = `the bake files are nested too deeply, or make something too large (${thrown.message})`;
      return { ...none, code: 'INVALID_ARGUMENT', message };
    }
    return { ...none, code: 'INTERNAL', message: messageOf(thrown) };
  }
}

// What started it gave it nothing but that.
parentPort?.postMessage(reply(workerData as PlanInput));
