import { chomp, parseHeredocStart } from '../lex/heredoc.ts';
import type { Run } from '../parse/ast.ts';
import { argumentsOf, type ShellCommand, shellCommands } from './shell-text.ts';

/** What a POSIX shell runs of a RUN: the command, or the here-document that is its script. */
export function commandsOf({ command, heredocs }: Run): readonly ShellCommand[] {
  if (command.form === 'exec') {
    const words = command.args.map((text) => ({ text, quoted: false }));
    const script = /^(?:\/bin\/|\/usr\/bin\/)?(?:ba|da|a|z)?sh$/.test(command.args[0] ?? '') ? command.args.at(-1) : '';
    return script === undefined || script === '' ? [{ words, piped: false }] : shellCommands(script);
  }
  const [first] = heredocs;
  const interpreter = first === undefined ? '' : command.text.slice(0, command.text.indexOf('<<')).trim();
  const isScript =
    first !== undefined &&
    (parseHeredocStart(command.text) !== undefined || /^(?:ba|da|a)?sh(?: -\w+)*$/.test(interpreter));
  if (!isScript) return shellCommands(command.text);
  const text = chomp(first);
  const shebang = /^#!(\S+)(?:\s+(\S+))?/.exec(text);
  const program = shebang?.[1]?.endsWith('/env') === true ? (shebang[2] ?? '') : (shebang?.[1] ?? 'sh');
  return /(?:^|\/)(?:ba|da|a|z)?sh$/.test(program)
    ? shellCommands(text.replace(/^#!.*/, '').replaceAll(/\\\r?\n/g, ' '))
    : [];
}

/** A program with its arguments. */
export interface Call {
  readonly args: readonly string[];
  /** its input is another command's output */
  readonly piped: boolean;
}

// Several rules ask, and each stage asks for all that it stands on.
const known = new WeakMap<Run, readonly Call[]>();

/** Programs and their arguments, with their paths taken off. */
export function argumentListsOf(run: Run): readonly Call[] {
  const calls = known.get(run) ?? callsOf(run);
  known.set(run, calls);
  return calls;
}

function callsOf(run: Run): readonly Call[] {
  return commandsOf(run).map((command) => {
    const [program, ...args] = argumentsOf(command).map(({ text }) => text);
    return { args: program === undefined ? [] : [program.replace(/^.*\//, ''), ...args], piped: command.piped };
  });
}
