import { type Bytes, collect, KilnError } from '#std';
import { toError } from './problem-text.ts';

const MAX_PROBLEM_BYTES = 64 * 1024;

/**
 * The error behind an answer of 400 or more, from its body.
 * @param unsaid where that says nothing; without, what the status alone says
 */
export async function readProblem(status: number, body: Bytes, unsaid?: KilnError): Promise<KilnError> {
  let text = '';
  try {
    text = (await collect(body, MAX_PROBLEM_BYTES)).toString();
  } catch (cause) {
    const { code, hint } = toError(status, '');
    return new KilnError(code, `the farm answered ${status}`, { hint, cause });
  }
  return toError(status, text, unsaid);
}
