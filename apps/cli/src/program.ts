import { Command, CommanderError } from 'commander';
import { kilnVersion } from '#std';
import type { BuildSurroundings } from './build/run-build.ts';
import { addAccess } from './commands/add-access.ts';
import { addAdmin } from './commands/add-admin.ts';
import { addBake } from './commands/add-bake.ts';
import { addBuild } from './commands/add-build.ts';
import { addBuilders } from './commands/add-builders.ts';
import { addBuilds } from './commands/add-builds.ts';
import { addCache } from './commands/add-cache.ts';
import { addFarm } from './commands/add-farm.ts';
import { addImages } from './commands/add-images.ts';
import { addRun } from './commands/add-run.ts';
import { addContexts } from './commands/add-contexts.ts';
import { complaint } from './complaint.ts';
import { addExamples, pathOf } from './help-examples.ts';
import { firstSteps } from './help-text.ts';
import { plainSwitches } from './plain-switches.ts';
import { withOwnWords } from './run/own-words.ts';
import { usageError } from './usage.ts';

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
  addBuilds(program, (args, of) => runProgram(['build', ...args], of));
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

function useContext(name: string): void {
  delete process.env['KILN_URL'];
  delete process.env['KILN_TOKEN'];
  process.env['KILN_CONTEXT'] = name;
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
