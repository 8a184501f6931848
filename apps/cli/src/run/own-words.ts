import type { Command } from 'commander';
import { usageError } from '../usage.ts';
import { refusedFlags } from './refused-flags.ts';

/**
 * Puts `--` in front of the image of `kiln run`, so that flags behind it are the command's, as with docker; in front of it those
 * that cannot be honoured are refused, some of which mean something else to kiln itself.
 * @throws KilnError INVALID_ARGUMENT
 */
export function withOwnWords(program: Command, args: readonly string[]): readonly string[] {
  const at = commandAt(args);
  const run = program.commands.find((each) => each.name() === 'run');
  if (at === undefined || run === undefined || !isRun(args)) return args;
  for (let index = at + 1; index < args.length; index++) {
    const word = args[index] ?? '';
    if (word === '--') return args;
    if (!word.startsWith('-') || word === '-') return [...args.slice(0, index), '--', ...args.slice(index)];
    if (takesNext(run, word)) index += 1;
  }
  return args;
}

/** Whether a line is for `kiln run`. */
export function isRun(args: readonly string[]): boolean {
  const at = commandAt(args);
  return at !== undefined && args[at] === 'run';
}

/** Where the command stands, behind kiln's own flags. */
function commandAt(args: readonly string[]): number | undefined {
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? '';
    if (word === '--context') index += 1;
    else if (!word.startsWith('-')) return index;
  }
  return undefined;
}

/** Whether the next word is the value of a flag. */
function takesNext(run: Command, word: string): boolean {
  if (word.startsWith('--')) {
    const [name = ''] = word.split('=', 1);
    refuse(name);
    return name === word && isValued(run, name);
  }
  // Of short ones several may stand together, the last with its value.
  for (const [place, letter] of [...word.slice(1)].entries()) {
    if (letter === 'h' && word === '-h') return false;
    refuse(`-${letter}`);
    if (isValued(run, `-${letter}`)) return place === word.length - 2;
  }
  return false;
}

function isValued(run: Command, name: string): boolean {
  if (name === '--context') return true;
  return run.options.some(({ short, long, required }) => required && (short === name || long === name));
}

function refuse(name: string): void {
  const found = Object.entries(refusedFlags).find(([flags]) => flags.split(/[ ,]+/).includes(name));
  if (found !== undefined) throw usageError(`${name} is nothing that kiln run can do`, found[1]);
}
