import { isKilnError, messageOf } from '#std';

/** A way out with a code whose reason has been shown already. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** What a person reads of a failure, and the exit code. */
export function describeFailure(thrown: unknown): { readonly text: string; readonly code: number } {
  if (thrown instanceof Exit) return { text: '', code: thrown.code };
  if (!isKilnError(thrown)) {
    const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown);
    return { text: `an error in kiln itself: ${detail}\n`, code: 1 };
  }
  const where = thrown.field === undefined || thrown.message.includes(thrown.field) ? '' : `${thrown.field}: `;
  const hint = thrown.hint === undefined ? '' : `${thrown.hint}\n`;
  return { text: `${where}${thrown.message}\n${hint}`, code: thrown.traits.exit };
}
