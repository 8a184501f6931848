import { type Command, Option } from 'commander';

export const DATA = ['--data <dir>', 'data directory of the embedded farm (KILN_DATA, ~/.kiln)'] as const;
export const JSON_FLAG = ['--json', 'as JSON'] as const;

/** A flag that may be repeated. */
export const list = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((value: string, known: readonly string[] = []) => [...known, value]);

/** What a process of the farm gets, for RUN and for a container alike. */
export function addSandboxFlags(command: Command, entitlements: string): Command {
  return command
    .addOption(new Option('--network <mode>', 'default, none or host').default('default', 'default'))
    .addOption(list('--add-host <name:address>', 'a line of /etc/hosts'))
    .addOption(list('--allow <entitlement>', entitlements))
    .addOption(list('--ulimit <name=soft[:hard]>', 'a limit, such as nofile=1024:2048'))
    .option('--shm-size <size>', 'size of /dev/shm, such as 128m')
    .option('-m, --memory <size>', 'memory at most, such as 2g')
    .option('--cpus <number>', 'processors at most, such as 1.5');
}
