import { type Command, Option } from 'commander';
import { runHelp } from '../help-text.ts';
import { addSandboxFlags, DATA, list } from './flags.ts';
import type { RunCommandFlags } from './run.ts';

/** `kiln run`, with what it has of `docker run`'s flags. */
export function addRun(program: Command): void {
  const run = program
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
    .addOption(list('--tmpfs <path>', 'a directory in memory, such as /scratch:size=64m'));
  addSandboxFlags(run, 'network.host')
    .optionsGroup('Which image:')
    .option('--platform <platform>', 'of an image of several, such as linux/arm64')
    .option('--pull <policy>', 'ask the registry: missing, always or never', 'missing')
    .optionsGroup('Options:')
    .option('-q, --quiet', 'nothing but what the container writes')
    .option(...DATA)
    .addOption(new Option('--rm', 'accepted: nothing stays in any case').hideHelp())
    .addHelpText('after', runHelp)
    .action(async (image: string, command: readonly string[], flags: RunCommandFlags) =>
      (await import('./run.ts')).run(image, command, flags),
    );
}
