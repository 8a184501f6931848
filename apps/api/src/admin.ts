import { Command, Option } from 'commander';
import { isKilnError, KilnError, messageOf } from '#std';
import { AccessName, Permission, Trust } from '#protocol';
import { type Database, migrate, openDatabase, ProjectStore, type Share, TeamStore, TokenStore } from '#storage';
import { addCare, exitOf } from './care/commands.ts';
import { AdminEnv, readConfig } from './config.ts';

/** What is done to a farm's database before its API starts, and by its operator. Each is harmless when done already. */
const program = new Command('admin');

async function withDatabase(work: (db: Database) => Promise<unknown>): Promise<void> {
  const { KILN_DATABASE_URL: url } = readConfig(AdminEnv, process.env);
  await using db = openDatabase({ url, max: 2 });
  const result = await work(db);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

program
  .command('migrate')
  .description('bring the database schema to this version')
  .action(() => withDatabase(async (db) => ({ applied: await migrate(db) })));

function permissionsOf(list: string): readonly Permission[] {
  const parsed = Permission.array().min(1).safeParse(list.split(','));
  if (parsed.success) return [...new Set(parsed.data)];
  throw new KilnError('INVALID_ARGUMENT', `--permissions is a list of ${Permission.options.join(', ')}`);
}

interface Limits {
  readonly project: string;
  readonly maxRunning?: number;
  readonly maxQueued?: number;
}

function countOption(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new KilnError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no number`, { hint: 'write 0 to 999999999' });
}

interface EnsureToken {
  readonly project: string;
  readonly scope: string;
  readonly parent?: string;
  readonly trust?: Trust;
  readonly permissions: string;
  readonly owner?: string;
}

program
  .command('ensure-token')
  .description('make the token in KILN_BOOTSTRAP_TOKEN known, with its project and scope')
  .option('--project <name>', 'project', 'default')
  .option('--scope <name>', 'scope', 'main')
  .option('--parent <name>', 'scope that a new scope inherits from')
  .addOption(new Option('--trust <level>', 'how far what runs in a new scope is trusted').choices(Trust.options))
  .option('--permissions <list>', 'what it may do, of build, read and admin', 'build,read')
  .option('--owner <name>', 'the member whose own it is: an owner of the project’s team from now on')
  .action(({ project, scope, parent, trust, permissions: list, owner }: EnsureToken) =>
    withDatabase(async (db) => {
      const { KILN_BOOTSTRAP_TOKEN: token } = readConfig(AdminEnv, process.env);
      if (token === undefined) {
        throw new KilnError('INVALID_ARGUMENT', 'there is no token', { hint: 'set KILN_BOOTSTRAP_TOKEN' });
      }
      const permissions = permissionsOf(list);
      if (owner !== undefined && !AccessName.safeParse(owner).success)
        throw new KilnError('INVALID_ARGUMENT', '--owner is not the name of a member');
      const ids = await new ProjectStore(db).ensure(project, scope, { parent, trust });
      const memberId = owner === undefined ? null : await new TeamStore(db).ensureMember(ids, owner, 'owner');
      await new TokenStore(db).ensure(token, { ...ids, permissions, memberId, name: 'made by the operator' });
      return { project, scope };
    }),
  );

program
  .command('limit-project')
  .description('say how many builds of a project run and wait at once')
  .requiredOption('--project <name>', 'which')
  .option('--max-running <n>', 'builds that run at once; none: as many as there are builders for', countOption)
  .option('--max-queued <n>', 'builds that may wait', countOption)
  .action(({ project, maxRunning, maxQueued }: Limits) =>
    withDatabase((db) => new ProjectStore(db).limit(project, { maxRunning: maxRunning ?? null, maxQueued })),
  );

const share = (name: string, description: string): Command =>
  program
    .command(name)
    .description(description)
    .requiredOption('--project <name>', 'whose scope it is')
    .option('--scope <name>', 'scope', 'main')
    .requiredOption('--reader <name>', 'project whose builds read it');

share('share-cache', 'let builds of another project read what is in a scope, where they are trusted no further').action(
  (given: Share) =>
    withDatabase(async (db) => {
      await new ProjectStore(db).share(given);
      return given;
    }),
);

share('unshare-cache', 'take such a share back, for builds that begin from now on').action((given: Share) =>
  withDatabase(async (db) => ({ ...given, wasShared: await new ProjectStore(db).unshare(given) })),
);

addCare(program);

try {
  await program.parseAsync();
} catch (error) {
  const hint = isKilnError(error) && error.hint !== undefined ? `\n${error.hint}` : '';
  process.stderr.write(`${messageOf(error)}${hint}\n`);
  process.exitCode = exitOf(error);
}
