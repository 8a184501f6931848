import { isKilnError, messageOf } from '#std';

/** A way out with a code whose reason has been shown already. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * What a person reads of a failure, and the exit code.
 * @param debug where in the program it happened is told too
 */
export function describeFailure(thrown: unknown, debug = false): { readonly text: string; readonly code: number } {
  if (thrown instanceof Exit) return { text: '', code: thrown.code };
  if (!isKilnError(thrown)) {
    const detail = debug && thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown);
    const hint = debug ? '' : 'KILN_DEBUG=1 shows where; kiln --version is worth telling with it\n';
    return { text: `an error in kiln itself: ${detail}\n${hint}`, code: 1 };
  }
  const where = thrown.field === undefined || thrown.message.includes(thrown.field) ? '' : `${thrown.field}: `;
  const hint = thrown.hint === undefined ? '' : `${thrown.hint}\n`;
  return { text: `${where}${thrown.message}\n${hint}`, code: thrown.traits.exit };
}
