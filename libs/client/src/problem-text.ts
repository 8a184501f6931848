import { Problem } from '#protocol';
import { type ErrorCode, isErrorCode, KilnError } from '#std';

const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  413: 'LIMIT_EXCEEDED',
  429: 'RATE_LIMITED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

const hints: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: 'set KILN_TOKEN to a token of this farm',
  PERMISSION_DENIED: 'use a token that may do this',
  UNAVAILABLE: 'try again in a moment',
};

function parseProblem(text: string): Problem | undefined {
  try {
    return Problem.safeParse(JSON.parse(text)).data;
  } catch {
    // A proxy's page, not the farm's answer: the status has to do.
    return undefined;
  }
}

const fallbackOf = (status: number): ErrorCode => byStatus[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');

/** The error behind an answer of 400 or more: from its problem document, else `unsaid`, or from the status alone. */
export function toError(status: number, text: string, unsaid?: KilnError): KilnError {
  const fallback = fallbackOf(status);
  const problem = parseProblem(text);
  if (problem === undefined) {
    if (unsaid !== undefined) return unsaid;
    return new KilnError(fallback, `the farm answered ${status} without saying why`, { hint: hints[fallback] });
  }
  const code = isErrorCode(problem.code) ? problem.code : fallback;
  return new KilnError(code, problem.detail, { hint: problem.hint ?? hints[code], field: problem.field });
}
