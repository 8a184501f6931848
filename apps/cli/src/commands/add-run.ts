import { type Command, Option } from 'commander';
import { runHelp } from '../help-text.ts';
import type { RunCommandFlags } from './run.ts';

const collect = (value: string, known: readonly string[] = []): string[] => [...known, value];
const list = (flags: string, description: string): Option => new Option(flags, description).argParser(collect);

/** `kiln run`, with what it has of `docker run`'s flags. */
export function addRun(program: Command): void {
  program
    .command('run')
    .description('run a command in a container of an image, on a builder of the farm; what it changes is thrown away')
    .argument('<image>', 'name, digest or id of an image of the project; else what a registry has by that name')
    .argument('[command...]', 'instead of the image’s CMD; flags behind the image are the command’s own')
    .optionsGroup('What the container gets:')
    .addOption(list('-e, --env <name=value>', 'a variable; without =value from the environment'))
    .addOption(list('--env-file <path>', 'variables, one a line'))
    .addOption(list('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE: the file /run/secrets/NAME'))
    .option('-u, --user <user>', 'name or number, with :group if need be')
    .option('-w, --workdir <path>', 'directory that it begins in')
    .option('--entrypoint <program>', 'instead of the image’s ENTRYPOINT')
    .addOption(list('--tmpfs <path>', 'a directory in memory, such as /scratch:size=64m'))
    .addOption(new Option('--network <mode>', 'default, none or host').default('default', 'default'))
    .addOption(list('--add-host <name:address>', 'a line of /etc/hosts'))
    .addOption(list('--allow <entitlement>', 'network.host'))
    .addOption(list('--ulimit <name=soft[:hard]>', 'a limit, such as nofile=1024:2048'))
    .option('--shm-size <size>', 'size of /dev/shm, such as 128m')
    .option('-m, --memory <size>', 'memory at most, such as 2g')
    .option('--cpus <number>', 'processors at most, such as 1.5')
    .optionsGroup('Which image:')
    .option('--platform <platform>', 'of an image of several, such as linux/arm64')
    .option('--pull <policy>', 'ask the registry: missing, always or never', 'missing')
    .optionsGroup('Options:')
    .option('-q, --quiet', 'nothing but what the container writes')
    .option('--data <dir>', 'data directory of the embedded farm (KILN_DATA, ~/.kiln)')
    .addOption(new Option('--rm', 'accepted: nothing stays in any case').hideHelp())
    .addHelpText('after', runHelp)
    .action(async (image: string, command: readonly string[], flags: RunCommandFlags) =>
      (await import('./run.ts')).run(image, command, flags),
    );
}
