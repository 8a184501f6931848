import type { Argument, Command, Option } from 'commander';
import { pathOf } from '../help-examples.ts';
import { knownValues, knownValuesOf } from './known-values.ts';

export interface Candidate {
  readonly value: string;
  readonly description?: string | undefined;
}

/** What may stand where the cursor is. */
export interface Candidates {
  readonly values: readonly Candidate[];
  /** what the shell, or who asks the farm, adds */
  readonly more: 'nothing' | 'files' | 'directories' | 'builds' | 'contexts' | 'targets' | 'stages';
  /** stands in front of what is added: `--context=` */
  readonly prefix: string;
  /** arguments of the command that stand before it */
  readonly given: readonly string[];
}

const NOTHING: Candidates = { values: [], more: 'nothing', prefix: '', given: [] };

/**
 * Candidates for the last of some words, as the program's own commands and options say.
 * @param words behind `kiln`; the last one may be empty or begun
 */
export function candidates(program: Command, words: readonly string[]): Candidates {
  const at = walk(program, words.slice(0, -1));
  return { ...candidatesAt(at, words), given: at.given };
}

function candidatesAt(at: Place, words: readonly string[]): Candidates {
  const current = words.at(-1) ?? '';
  if (at.pending !== undefined) return starting(valuesOf(at.command, at.pending), current);
  const equals = current.indexOf('=');
  if (!at.ended && current.startsWith('-')) {
    if (equals < 0) return starting({ ...NOTHING, values: flagsOf(at.command) }, current);
    const option = findOption(at.command, current.slice(0, equals));
    if (option === undefined) return NOTHING;
    const prefix = current.slice(0, equals + 1);
    const found = valuesOf(at.command, option);
    const values = found.values.map((each) => ({ ...each, value: `${prefix}${each.value}` }));
    return starting({ ...found, values, prefix }, current);
  }
  const commands = at.given.length === 0 ? at.command.createHelp().visibleCommands(at.command) : [];
  if (commands.length > 0 && at.command.registeredArguments.length === 0) {
    const values = commands.map((each) => ({ value: each.name(), description: each.description() }));
    return starting({ ...NOTHING, values }, current);
  }
  return starting(argumentValues(at.command, at.given.length), current);
}

interface Place {
  readonly command: Command;
  /** whose value comes next */
  readonly pending: Option | undefined;
  /** the arguments that there are already */
  readonly given: readonly string[];
  /** `--` has been there */
  readonly ended: boolean;
}

function walk(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, pending: undefined, given: [], ended: false };
  for (const word of words) place = next(place, word);
  return place;
}

function next(place: Place, word: string): Place {
  const { command, pending, given, ended } = place;
  if (pending !== undefined) return { ...place, pending: undefined };
  if (!ended && word === '--') return { ...place, ended: true };
  if (!ended && word.startsWith('-') && word !== '-') {
    const option = findOption(command, word);
    return { ...place, pending: option?.required === true ? option : undefined };
  }
  const sub =
    given.length > 0 ? undefined : command.commands.find((each) => [each.name(), ...each.aliases()].includes(word));
  return sub === undefined ? { ...place, given: [...given, word] } : { ...place, command: sub };
}

function optionsOf(command: Command): readonly Option[] {
  const help = command.createHelp();
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
}

const findOption = (command: Command, flag: string): Option | undefined =>
  optionsOf(command).find(({ long, short }) => long === flag || short === flag);

function flagsOf(command: Command): readonly Candidate[] {
  return optionsOf(command).flatMap(({ long, description }) => (long == null ? [] : [{ value: long, description }]));
}

function valuesOf(command: Command, option: Option): Candidates {
  const flag = option.long ?? '';
  const values = option.argChoices ?? knownValuesOf[pathOf(command)]?.[flag] ?? knownValues[flag];
  if (values !== undefined) return { ...NOTHING, values: values.map((value) => ({ value })) };
  if (flag === '--context') return { ...NOTHING, more: 'contexts' };
  if (flag === '--target' && pathOf(command) === 'build') return { ...NOTHING, more: 'stages' };
  return { ...NOTHING, more: pathKind(/<([^>]*)>/.exec(option.flags)?.[1] ?? '') };
}

function pathKind(placeholder: string): 'files' | 'directories' | 'nothing' {
  if (placeholder === 'dir') return 'directories';
  return placeholder === 'path' || placeholder === 'file' ? 'files' : 'nothing';
}

function argumentValues({ registeredArguments: all }: Command, given: number): Candidates {
  const last = all.at(-1);
  const argument: Argument | undefined = all[given] ?? (last?.variadic === true ? last : undefined);
  if (argument === undefined) return NOTHING;
  if (argument.argChoices !== undefined) return { ...NOTHING, values: argument.argChoices.map((value) => ({ value })) };
  switch (argument.name()) {
    case 'build':
      return { ...NOTHING, more: 'builds' };
    case 'context':
      return { ...NOTHING, more: 'contexts' };
    case 'targets':
      return { ...NOTHING, more: 'targets' };
    case 'path':
      return { ...NOTHING, more: 'directories' };
    default:
      return NOTHING;
  }
}

const starting = (found: Candidates, current: string): Candidates => ({
  ...found,
  values: found.values.filter(({ value }) => value.startsWith(current)),
});
