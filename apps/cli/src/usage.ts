import { KilnError } from '#std';

/** Wrong use: exit code 2. */
export function usageError(message: string, hint?: string, cause?: unknown): KilnError {
  return new KilnError('INVALID_ARGUMENT', message, { hint, cause });
}
