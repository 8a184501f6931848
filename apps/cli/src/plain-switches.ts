import { idleFlags } from './build/unsupported-flags.ts';
import { isRun } from './run/own-words.ts';
import { usageError } from './usage.ts';

/** Flags that docker takes as `--flag=true` too. */
const switches = new Set([
  ...[
    '--push',
    '--load',
    '--pull',
    '--no-cache',
    '--quiet',
    '--detach',
    '--check',
    '--debug',
    '--squash',
    '--print',
    '--supersede',
  ],
  ...idleFlags,
]);

/** Writes `--push=true` as `--push` and leaves `--push=false` out. */
export function plainSwitches(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  // There it says when, not whether.
  const valued = isRun(args) ? '--pull' : undefined;
  return args.flatMap((arg, index) => {
    const equals = arg.indexOf('=');
    if ((end >= 0 && index > end) || equals < 0 || !switches.has(arg.slice(0, equals))) return [arg];
    if (arg.slice(0, equals) === valued) return [arg];
    const value = arg.slice(equals + 1).toLowerCase();
    if (['true', '1', 't'].includes(value)) return [arg.slice(0, equals)];
    if (['false', '0', 'f'].includes(value)) return [];
    throw usageError(`${arg.slice(0, equals)} is true or false, not ${JSON.stringify(value)}`);
  });
}
