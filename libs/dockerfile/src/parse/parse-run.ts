import { invalid } from '../invalid.ts';
import { parseJsonArray } from '../lex/json-array.ts';
import type { Command, CommandForm, Run } from './ast.ts';
import { parseFlags } from './flags.ts';
import { parseDevice } from './parse-device.ts';
import { parseMount } from './parse-mount.ts';
import type { ParseRequest } from './request.ts';

/** @throws KilnError DOCKERFILE_INVALID for a JSON array of anything but strings */
export function parseCommandForm(rest: string): CommandForm {
  const args = parseJsonArray(rest);
  return args === undefined ? { form: 'shell', text: rest } : { form: 'exec', args };
}

/** @throws KilnError DOCKERFILE_INVALID */
export function parseRun({ keyword, flags, rest, heredocs, located }: ParseRequest): Run {
  const isMount = (flag: string): boolean => flag.startsWith('--mount=');
  const parsed = parseFlags(
    keyword,
    flags.filter((flag) => !isMount(flag)),
    { values: ['network', 'security', 'mount'], lists: ['device'] },
  );
  const mounts = flags.filter(isMount).map((flag) => parseMount(flag.slice('--mount='.length)));
  const devices = parsed.all('device').map(parseDevice);
  const network = parsed.get('network') ?? 'default';
  if (network !== 'default' && network !== 'none' && network !== 'host') {
    throw invalid(`invalid network mode ${JSON.stringify(network)}`, { hint: 'there are: default, none, host' });
  }
  const security = parsed.get('security') ?? 'sandbox';
  if (security !== 'sandbox' && security !== 'insecure') {
    throw invalid(`security ${JSON.stringify(security)} is not valid`, { hint: 'there are: sandbox, insecure' });
  }
  const command = parseCommandForm(rest);
  if (rest === '' || (command.form === 'exec' && command.args.length === 0)) {
    throw invalid('RUN requires at least one argument', { hint: 'write the command to run after RUN' });
  }
  return { ...located, kind: 'run', command, heredocs, network, security, mounts, devices };
}

/** @throws KilnError DOCKERFILE_INVALID */
export function parseCommand(kind: 'cmd' | 'entrypoint', { keyword, flags, rest, located }: ParseRequest): Command {
  parseFlags(keyword, flags);
  return { ...located, kind, command: parseCommandForm(rest) };
}
