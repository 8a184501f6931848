import { invalid, unsupported } from '../invalid.ts';
import { parseJsonArray } from '../lex/json-array.ts';
import type { Command, CommandForm, Run } from './ast.ts';
import { parseFlags } from './flags.ts';
import type { ParseRequest } from './request.ts';

/** @throws KilnError DOCKERFILE_INVALID for a JSON array of anything but strings */
export function parseCommandForm(rest: string): CommandForm {
  const args = parseJsonArray(rest);
  return args === undefined ? { form: 'shell', text: rest } : { form: 'exec', args };
}

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED */
export function parseRun({ keyword, flags, rest, heredocs, located }: ParseRequest): Run {
  const parsed = parseFlags(keyword, flags, { values: ['network'], refused: ['mount', 'security', 'device'] });
  const network = parsed.get('network') ?? 'default';
  if (network === 'host') {
    throw unsupported('RUN --network=host', { hint: 'steps have a network of their own; leave the flag out' });
  }
  if (network !== 'default' && network !== 'none')
    throw invalid(`invalid network mode ${JSON.stringify(network)}`, { hint: 'modes are default, none and host' });
  const command = parseCommandForm(rest);
  if (rest === '' || (command.form === 'exec' && command.args.length === 0)) {
    throw invalid('RUN requires at least one argument', { hint: 'write the command to run after RUN' });
  }
  return { ...located, kind: 'run', command, heredocs, network };
}

/** @throws KilnError DOCKERFILE_INVALID */
export function parseCommand(kind: 'cmd' | 'entrypoint', { keyword, flags, rest, located }: ParseRequest): Command {
  parseFlags(keyword, flags);
  return { ...located, kind, command: parseCommandForm(rest) };
}
