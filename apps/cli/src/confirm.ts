import { createInterface } from 'node:readline/promises';
import { KilnError } from '#std';

/** Asks whether to go on. @throws KilnError CANCELLED for any answer but yes, and where nobody answers */
export async function confirm(what: string): Promise<void> {
  using lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question(`${what} Go on? [y/N] `), ended]);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new KilnError('CANCELLED', 'nothing was removed', { hint: '--force does not ask' });
}
