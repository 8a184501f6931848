import { KilnError } from '#std';
import { splitCommand } from '../lex/split-command.ts';
import { instructionAt } from '../inspect/instruction-at.ts';
import { readDockerfile } from '../parse/parse-dockerfile.ts';
import { commandTypos } from './run-rules.ts';
import { typosOf } from './typography.ts';

/** What in the failed instruction is likely to be the cause: a quote, dash or blank that is none, or a wrong command. */
export function failureHint(text: string, line: number): string | undefined {
  const instruction = instructionAt(text, line);
  if (instruction === undefined) return undefined;
  const { keyword } = splitCommand(instruction.text, '\\');
  const [typo] = typosOf(instruction.text, keyword.toLowerCase());
  return typo?.message ?? commandHint(text, line);
}

function commandHint(text: string, line: number): string | undefined {
  try {
    const node = readDockerfile(text).nodes.find((each) => each.line <= line && line <= each.endLine);
    return node?.kind === 'run' ? commandTypos(node)[0]?.message : undefined;
  } catch {
    return undefined;
  }
}

/** The failure with that for a hint, if there is such a cause. */
export function explained(failure: KilnError, text: string): KilnError {
  const { code, message, field, line, cause } = failure;
  const hint = line === undefined ? undefined : failureHint(text, line);
  return hint === undefined ? failure : new KilnError(code, message, { hint, field, line, cause: cause ?? failure });
}
