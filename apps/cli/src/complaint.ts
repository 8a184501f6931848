import type { Command, CommanderError } from 'commander';
import { pathOf } from './help-examples.ts';
import { usageError } from './usage.ts';

/** Commander's complaints as wrong use: `unknown flag --platfrom; did you mean --platform?` */
export function complaint(thrown: CommanderError, program: Command, args: readonly string[]): Error {
  const name = pathOf(meant(program, args));
  const [first = '', suggestion = ''] = thrown.message.split('\n');
  const what = first
    .replace(/^error: /, '')
    .replace(/^unknown option '(.*)'$/, 'unknown flag $1')
    .replace(/^unknown command '(.*)'$/, 'unknown command $1')
    .replace(/^option '([^']*)' argument missing$/, 'flag $1 needs a value')
    .replace(/^required option '([^']*)' not specified$/, 'missing: $1')
    .replace(/^option '([^']*)' argument ('.*') is invalid\. Allowed choices are (.*)\.$/, '$1: $2 is none of $3')
    .replace(
      /^command-argument value ('.*') is invalid for argument '.*'\. Allowed choices are (.*)\.$/,
      '$1 is none of $2',
    )
    .replace(/^missing required argument '(.*)'$/, 'missing: $1')
    .replace(/^too many arguments for '(.*)'\. Expected (\d+).* but got (\d+)\.$/, '$1 takes $2, not $3 arguments');
  const close = /Did you mean (?:one of )?(.*)\?/i.exec(suggestion)?.[1]?.replaceAll(', ', ' or ');
  const see = `see kiln ${name === '' ? '' : `${name} `}--help`;
  const next = thrown.code === 'commander.missingArgument' ? `${lists[name] ?? ''}${see}` : see;
  if (close === undefined) return usageError(what, next, thrown);
  return usageError(`${what}; did you mean ${close}?`, undefined, thrown);
}

/** The command that a line is for, as far as it is one. */
function meant(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const [index, word] of args.entries()) {
    if (word.startsWith('-') || args[index - 1] === '--context') continue;
    const below = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (below === undefined) break;
    command = below;
  }
  return command;
}

/** Where to find what is missing. */
const lists: Readonly<Record<string, string>> = {
  build: 'name the directory to build, as in kiln build . – or ',
  ...Object.fromEntries(
    ['logs', 'explain', 'cancel', 'retry', 'cache disown'].map((name) => [name, 'kiln builds lists them; ']),
  ),
  ...Object.fromEntries(['use', 'update', 'rm'].map((name) => [`context ${name}`, 'kiln context ls lists them; '])),
  'token revoke': 'kiln token ls lists them; ',
};
