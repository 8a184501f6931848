import { Argument, Command, CommanderError, Option } from 'commander';
import { kilnVersion } from '#std';
import type { BuildSurroundings } from './build/run-build.ts';
import type { BakeFlags } from './commands/bake.ts';
import type { BuildCommandFlags } from './commands/build.ts';
import type { DisownFlags } from './commands/cache-disown.ts';
import type { CacheMissesFlags } from './commands/cache-misses.ts';
import type { CacheStatsFlags } from './commands/cache-stats.ts';
import type { BuildsFlags } from './commands/builds.ts';
import type { CacheDuFlags, CachePruneFlags } from './commands/cache.ts';
import type { CancelFlags } from './commands/cancel.ts';
import type { DashboardFlags } from './commands/dashboard.ts';
import type { ExplainFlags } from './commands/explain.ts';
import type { DownFlags, StatusFlags, UpFlags } from './commands/farm.ts';
import type { LogsFlags } from './commands/logs.ts';
import { addAccess } from './commands/access.ts';
import { addAdmin } from './commands/add-admin.ts';
import { addBuilders } from './commands/add-builders.ts';
import { addContexts } from './commands/contexts.ts';
import { addImages } from './commands/add-images.ts';
import { addRun } from './commands/add-run.ts';
import type { RetryFlags } from './commands/retry.ts';
import type { SummaryFlags } from './commands/summary.ts';
import { idleFlags, unsupportedFlags } from './build/unsupported-flags.ts';
import { buildExamples, ciHelp, explainHelp, firstSteps, summaryHelp } from './help-text.ts';
import { progressModes } from './progress/choose-renderer.ts';
import { type CiService, ciServices } from './ci/ci-service.ts';
import { summaryFormats } from './summary/formats.ts';
import { complaint } from './complaint.ts';
import { addExamples, pathOf } from './help-examples.ts';
import { isRun, withOwnWords } from './run/own-words.ts';
import { usageError } from './usage.ts';

const collect = (value: string, known: readonly string[] = []): string[] => [...known, value];
const list = (flags: string, description: string): Option => new Option(flags, description).argParser(collect);
const DATA = ['--data <dir>', 'data directory of the embedded farm (KILN_DATA, ~/.kiln)'] as const;

/**
 * Everything `kiln` understands. What a command does is loaded when it is called: help has to be quick.
 * @param around what a build takes instead of the process' own streams, directory and environment
 */
export function createProgram(around?: BuildSurroundings): Command {
  const program = new Command('kiln')
    .description('Builds container images on a farm, with one cache for the whole team.')
    .version(`kiln ${kilnVersion()}`, '-v, --version', 'print the version')
    .helpCommand('help [command]', 'show the flags of a command')
    .addHelpText('after', firstSteps)
    .option('--context <name>', 'the farm to use: a name that kiln context ls shows')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  addBuild(program, around);
  addBake(program, around);
  addFarm(program);
  addBuilders(program);
  addBuilds(program);
  addImages(program);
  addRun(program);
  addCache(program);
  addAccess(program);
  addContexts(program);
  addAdmin(program);
  // For every command alike: the flag stands for the variables, and wins.
  program.hook('preAction', (_, action) => {
    checkArguments(action);
    const { context } = program.opts<{ readonly context?: string }>();
    if (context !== undefined) useContext(context);
  });
  addExamples(program);
  // What docker's users type.
  program.command('version', { hidden: true }).action(() => void process.stdout.write(`${program.version() ?? ''}\n`));
  return program;
}

/** Of a script whose variable is not set: no address of the API has nothing in it. */
function checkArguments(command: Command): void {
  for (const [at, { required, variadic }] of command.registeredArguments.entries()) {
    const given = variadic ? command.args.slice(at) : command.args.slice(at, at + 1);
    if (!required || !given.includes('')) continue;
    throw usageError(
      `<${command.registeredArguments[at]?.name() ?? ''}> is empty`,
      `see kiln ${pathOf(command)} --help`,
    );
  }
}

function addBuild(program: Command, around: BuildSurroundings | undefined): void {
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
        'files or an image for FROM and --from: a directory, docker-image://…, oci-layout://…, a URL',
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
    .option('--metadata-file <path>', 'write digests and figures of the build as JSON')
    .option('--iidfile <path>', 'write the image ID')
    .option('--build-id-file <path>', 'write the build’s id as soon as the farm has taken it')
    .optionsGroup('What RUN steps get:')
    .addOption(list('--secret <spec>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE for RUN --mount=type=secret'))
    .addOption(list('--ssh <spec>', 'default, or id=SOCKET, or id=KEY[,KEY] for RUN --mount=type=ssh'))
    .addOption(new Option('--network <mode>', 'default, none or host').default('default', 'default'))
    .addOption(list('--add-host <name:address>', 'a line of /etc/hosts'))
    .addOption(list('--allow <entitlement>', 'network.host or security.insecure'))
    .addOption(list('--ulimit <name=soft[:hard]>', 'a limit, such as nofile=1024:2048'))
    .option('--shm-size <size>', 'size of /dev/shm, such as 128m')
    .option('-m, --memory <size>', 'memory at most, such as 2g')
    .option('--cpus <number>', 'processors at most, such as 1.5')
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
    (await import('./commands/build.ts')).build(path, flags, around),
  );
}

function addBake(program: Command, around: BuildSurroundings | undefined): void {
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
    .addOption(new Option('--provenance <value>', 'accepted, without effect').hideHelp())
    .addOption(new Option('--sbom <value>', 'accepted, without effect').hideHelp())
    .action(async (targets: readonly string[], flags: BakeFlags) =>
      (await import('./commands/bake.ts')).bake(targets, flags, around),
    );
}

function addFarm(program: Command): void {
  program
    .command('up')
    .description('start the embedded farm, or change it')
    .option('--builders <n>', 'number of builders')
    .option('--object-store <address>', 'where blobs are kept: s3://bucket/prefix?region=…, or a folder')
    .option(...DATA)
    .action(async (flags: UpFlags) => (await import('./commands/farm.ts')).up(flags));
  program
    .command('down')
    .description('stop the embedded farm')
    .option(...DATA)
    .action(async (flags: DownFlags) => (await import('./commands/farm.ts')).down(flags));
  program
    .command('status')
    .description('show the embedded farm; exit code 3 when none runs')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: StatusFlags) => (await import('./commands/farm.ts')).status(flags));
}

function addBuilds(program: Command): void {
  program
    .command('dashboard')
    .description('print a link that opens the dashboard, signed in')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: DashboardFlags) => (await import('./commands/dashboard.ts')).dashboard(flags));
  program
    .command('builds')
    .description('list builds, newest first')
    .option('-n, --limit <n>', 'how many', '20')
    .option('--project <name>', 'of another project of the team')
    .addOption(
      list(
        '--filter <key=value>',
        'state=failed, scope=main, image=acme/app, branch=main, commit=1a2b3c4, text=words, since=24h or until=2026-01-31',
      ),
    )
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: BuildsFlags) => (await import('./commands/builds.ts')).builds(flags));
  program
    .command('logs')
    .description('show the log of a build')
    .argument('<build>', 'id of the build')
    .option('-f, --follow', 'go on until the build ends')
    .option('--step <n>', 'one step alone: 4 for [4/6], build:4 for [build 4/6]')
    .option(...DATA)
    .action(async (id: string, flags: LogsFlags) => (await import('./commands/logs.ts')).logs(id, flags));
  program
    .command('retry')
    .description('run a build that has ended once more, with the request and the context that it had')
    .argument('<build>', 'id of the build')
    .addOption(list('--secret <spec>', 'as in kiln build: what the build was given is gone with its end'))
    .addOption(list('--ssh <spec>', 'as in kiln build'))
    .addOption(new Option('--progress <mode>', 'how it is told').choices(progressModes).default('auto'))
    .option('-q, --quiet', 'print nothing but the digest')
    .option('-d, --detach', 'print the new build’s id and leave it to the farm')
    .option(...DATA)
    .action(async (id: string, flags: RetryFlags) => (await import('./commands/retry.ts')).retry(id, flags));
  program
    .command('explain')
    .description('tell why each step of a build hit the cache or missed it')
    .argument('<build>', 'id of the build')
    .option('--json', 'as JSON')
    .option(...DATA)
    .addHelpText('after', explainHelp)
    .action(async (id: string, flags: ExplainFlags) => (await import('./commands/explain.ts')).explain(id, flags));
  program
    .command('summary')
    .description('show a build on a page for a CI job, or what is wrong beside its lines; waits for its end')
    .argument('<build>', 'id of the build')
    .addOption(new Option('--format <format>', 'how').choices(summaryFormats).default('markdown'))
    .option('-f, --file <path>', 'where the Dockerfile lies in the repository, if not where the build had it')
    .option(...DATA)
    .addHelpText('after', summaryHelp)
    .action(async (id: string, flags: SummaryFlags) => (await import('./commands/summary.ts')).summary(id, flags));
  program
    .command('ci')
    .description('build with the settings of a CI job, and tell that CI what came of it')
    .addArgument(new Argument('[service]', 'the CI, if the environment does not tell').choices(ciServices))
    .addHelpText('after', ciHelp)
    .action(async (service: CiService | undefined) =>
      (await import('./commands/ci.ts')).ci(service, (args, around) => runProgram(['build', ...args], around)),
    );
  program
    .command('cancel')
    .description('cancel a build')
    .argument('<build>', 'id of the build')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (id: string, flags: CancelFlags) => (await import('./commands/cancel.ts')).cancel(id, flags));
}

function addCache(program: Command): void {
  const cache = program.command('cache').description('show, prune and mend the cache of the project');
  cache
    .command('du')
    .description('show what takes room, by kind and by scope')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: CacheDuFlags) => (await import('./commands/cache.ts')).cacheDu(flags));
  cache
    .command('prune')
    .description('remove what is least worth its room, never what a running build uses')
    .option('--dry-run', 'show what would go, and why')
    .option('--keep-storage <size>', 'until the cache takes no more than this, such as 10gb')
    .option('-a, --all', 'also layers in other forms and fetched files')
    .addOption(list('--filter <until=time>', 'only what was not used for so long: until=24h'))
    .option('-f, --force', 'do not ask')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: CachePruneFlags) => (await import('./commands/cache.ts')).cachePrune(flags));
  cache
    .command('disown')
    .description('take what a build made, or what one of its steps had, out of the cache, and tell who used it')
    .argument('<build>', 'id of the build')
    .option('--step <n>', 'one step alone, and what stands on it: 4 for [4/6], build:4 for [build 4/6]')
    .option('--reason <text>', 'for whoever misses it later')
    .option('--dry-run', 'show what would go, and which builds used it')
    .option('-f, --force', 'do not ask')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (id: string, flags: DisownFlags) =>
      (await import('./commands/cache-disown.ts')).cacheDisown(id, flags),
    );
  cache
    .command('stats')
    .description('what the cache was good for, and why steps ran')
    .addOption(
      new Option('--by <what>', 'told apart by')
        .choices(['cause', 'step', 'dockerfile', 'scope', 'branch', 'day', 'project'])
        .default('cause'),
    )
    .option('--days <n>', 'how far back', '7')
    .option('--scope <name>', 'of one scope alone')
    .option('--project <name>', 'of another project of the team')
    .option('-n, --limit <n>', 'how many lines', '20')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: CacheStatsFlags) => (await import('./commands/cache-stats.ts')).cacheStats(flags));
  cache
    .command('misses')
    .description('which steps that ran cost most, why, and what to do about it')
    .option('--days <n>', 'how far back', '7')
    .option('--scope <name>', 'of one scope alone')
    .option('--project <name>', 'of another project of the team')
    .option('-n, --limit <n>', 'how many of them', '10')
    .option('--json', 'as JSON')
    .option(...DATA)
    .action(async (flags: CacheMissesFlags) => (await import('./commands/cache-misses.ts')).cacheMisses(flags));
}

function useContext(name: string): void {
  delete process.env['KILN_URL'];
  delete process.env['KILN_TOKEN'];
  process.env['KILN_CONTEXT'] = name;
}

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

/** Runs a command line (without node and script). Commander's complaints come out as wrong use. */
export async function runProgram(args: readonly string[], around?: BuildSurroundings): Promise<void> {
  const program = createProgram(around);
  // Its words are those of another command line.
  if (args[0] === '__complete') return await completeWords(program, args.slice(1));
  try {
    await program.parseAsync(plainSwitches(withOwnWords(program, args)), { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return;
    // `kiln` alone: commander has shown the help.
    if (thrown.code === 'commander.help')
      throw usageError('a command is missing', `kiln ${[...args, '--help'].join(' ')} lists them`, thrown);
    throw complaint(thrown, program, args);
  }
}

async function completeWords(program: Command, words: readonly string[]): Promise<void> {
  const { complete, valueOf } = await import('./commands/completion.ts');
  const context = valueOf(words, '--context');
  if (context !== undefined) useContext(context);
  await complete(program, words);
}
