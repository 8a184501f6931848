import { type Command, Option } from 'commander';
import type { BuildSurroundings } from '../build/run-build.ts';
import type { BakeFlags } from './bake.ts';
import { DATA, list } from './flags.ts';

/** `kiln bake`, with the flags of `docker buildx bake`. */
export function addBake(program: Command, around: BuildSurroundings | undefined): void {
  program
    .command('bake')
    .description('build the targets of a bake file, or the services of a compose file, all at once')
    .argument('[targets...]', 'targets and groups, or patterns such as "app-*" (default)')
    .optionsGroup('What is built:')
    .addOption(
      list(
        '-f, --file <path>',
        'docker-bake.hcl, docker-bake.json or a compose file, or - for standard input; may be repeated',
      ),
    )
    .addOption(
      list('--set <target.key=value>', 'change a target: app.tags=acme/app:1, "*.platform=linux/arm64", app.args.V=1'),
    )
    .addOption(list('--var <name=value>', 'value of a variable'))
    .addOption(list('--allow <entitlement>', 'network.host or security.insecure, for targets that ask for it'))
    .optionsGroup('Where it goes:')
    .option('--push', 'push the images under their tags')
    .option('--load', 'load the images into Docker or Podman on this machine')
    .option('--provenance <value>', 'true, mode=min or mode=max; short for --set=*.attest=type=provenance')
    .option('--sbom <value>', 'true or generator=IMAGE; short for --set=*.attest=type=sbom')
    .option('--metadata-file <path>', 'write digests and figures of all targets as JSON')
    .optionsGroup('What is reused:')
    .option('--no-cache', 'run every step')
    .option('--pull', 'ask the registries anew what tags stand for')
    .optionsGroup('What is told:')
    .option('--print', 'print what would be built as JSON, and build nothing')
    .option('--list <what>', 'list targets or variables; type=targets,format=json for JSON')
    .option('--progress <mode>', 'auto, plain, tty, rawjson or quiet', 'auto')
    .option('--check', 'check the Dockerfiles instead of building; the same as --call=check')
    .option('--call <method>', 'build, check, outline or targets')
    .optionsGroup('Options:')
    .option(...DATA)
    .addOption(new Option('--builder <name>', 'accepted, without effect').hideHelp())
    .action(async (targets: readonly string[], flags: BakeFlags) =>
      (await import('./bake.ts')).bake(targets, flags, around),
    );
}
