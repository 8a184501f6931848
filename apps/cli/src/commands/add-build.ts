import { type Command, Option } from 'commander';
import type { BuildSurroundings } from '../build/run-build.ts';
import { idleFlags, unsupportedFlags } from '../build/unsupported-flags.ts';
import { buildExamples } from '../help-text.ts';
import type { BuildCommandFlags } from './build.ts';
import { addSandboxFlags, DATA, list } from './flags.ts';

/** `kiln build`, with the flags of `docker buildx build`. */
export function addBuild(program: Command, around: BuildSurroundings | undefined): void {
  const build = program
    .command('build')
    .description('build an image from a Dockerfile')
    .argument(
      '<path>',
      'context: a directory, a git URL, the URL of a tar or a Dockerfile, or - for one of these on standard input',
    )
    .optionsGroup('What is built:')
    .option('-f, --file <path>', 'Dockerfile (PATH/Dockerfile), or - for standard input')
    .option('--target <stage>', 'stage to build')
    .addOption(list('--platform <platform>', 'such as linux/amd64,linux/arm64'))
    .addOption(list('--build-arg <name=value>', 'value of an ARG; without =value from the environment'))
    .addOption(
      list(
        '--build-context <name=value>',
        'files or an image for FROM and --from: a directory, docker-image://…, oci-layout://…, target:STAGE, a git URL',
      ),
    )
    .optionsGroup('Where it goes:')
    .addOption(list('-t, --tag <name>', 'name of the image; may be repeated'))
    .option('--push', 'push the image under its tags')
    .option('--load', 'load the image into Docker or Podman on this machine')
    .addOption(
      list('-o, --output <spec>', 'type=image, registry, oci, docker, tar, local or cacheonly, with dest=PATH'),
    )
    .addOption(list('--label <name=value>', 'label of the image'))
    .addOption(list('--annotation <key=value>', 'annotation of the image; index:KEY=VALUE for an index'))
    .addOption(list('--attest <spec>', 'type=provenance or type=sbom: tell of the image, in its registry beside it'))
    .option('--provenance <value>', 'true, mode=min or mode=max; the same as --attest type=provenance')
    .option('--sbom <value>', 'true or generator=IMAGE; the same as --attest type=sbom')
    .option('--metadata-file <path>', 'write digests and figures of the build as JSON')
    .option('--iidfile <path>', 'write the image ID')
    .option('--build-id-file <path>', 'write the build’s id as soon as the farm has taken it')
    .optionsGroup('What RUN steps get:')
    .addOption(list('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE for RUN --mount=type=secret'))
    .addOption(list('--ssh <spec>', 'default, or id=SOCKET, or id=KEY[,KEY] for RUN --mount=type=ssh'));
  addSandboxFlags(build, 'network.host or security.insecure');
  build
    .addOption(new Option('--cgroup-parent <path>', 'accepted, without effect').hideHelp())
    .optionsGroup('What is reused:')
    .option('--no-cache', 'run every step')
    .addOption(list('--no-cache-filter <stage>', 'run every step of a stage').default([], 'none'))
    .addOption(list('--cache-from <spec>', 'a cache of another farm: type=registry,ref=IMAGE or type=local,src=DIR'))
    .addOption(
      list('--cache-to <spec>', 'a cache for others: type=registry,ref=IMAGE, type=local,dest=DIR or type=inline'),
    )
    .option('--pull', 'ask the registries anew what tags stand for')
    .optionsGroup('What it is of, and when (from the CI job or the git checkout, unless it is said):')
    .option('--branch <name>', 'branch that is built')
    .option('--commit <digits>', 'commit that is built, in full')
    .option('--author <name>', 'who made the commit')
    .option('--pull-request <number>', 'pull request that is built')
    .option('--source-repository <url>', 'where the code is')
    .option('--source-message <text>', 'first line of the commit’s message')
    .option('--source-url <url>', 'page of the job that builds')
    .option('--priority <priority>', 'low, normal or high, among the queued builds of the project', 'normal')
    .option('--supersede', 'cancel what is still built of other commits of the branch')
    .optionsGroup('What is told:')
    .option('--progress <mode>', 'auto, plain, tty, rawjson or quiet', 'auto')
    .option('-q, --quiet', 'print nothing but the digest')
    .option('-d, --detach', 'print the build’s id and leave it to the farm')
    .option('--check', 'check the Dockerfile instead of building it; the same as --call=check')
    .option('--call <method>', 'build, check, outline or targets; add ,format=json for JSON')
    .optionsGroup('Options:')
    .option(...DATA)
    .addHelpText('after', buildExamples);
  for (const flags of idleFlags) build.addOption(new Option(flags).hideHelp());
  for (const flags of unsupportedFlags) build.addOption(new Option(flags).hideHelp());
  build.action(async (path: string, flags: BuildCommandFlags) =>
    (await import('./build.ts')).build(path, flags, around),
  );
}
