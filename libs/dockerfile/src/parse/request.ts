import type { EscapeToken } from '../lex/directives.ts';
import type { Heredoc } from '../lex/heredoc.ts';
import type { CommandLine } from '../lex/split-command.ts';
import type { Located } from './ast.ts';

/** One line on its way to a node. */
export interface ParseRequest extends CommandLine {
  readonly located: Located;
  /** the logical line with the blanks at its end, which an ONBUILD trigger keeps */
  readonly source: string;
  readonly escape: EscapeToken;
  readonly heredocs: readonly Heredoc[];
}
