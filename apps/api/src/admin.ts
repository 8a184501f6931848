import { Command } from 'commander';
import { isKilnError, KilnError, messageOf } from '#std';
import { type Database, migrate, openDatabase, Permission, ProjectStore, TokenStore } from '#storage';
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

interface EnsureToken {
  readonly project: string;
  readonly scope: string;
  readonly parent?: string;
}

program
  .command('ensure-token')
  .description('make the token in KILN_BOOTSTRAP_TOKEN known, with its project and scope')
  .option('--project <name>', 'project', 'default')
  .option('--scope <name>', 'scope', 'main')
  .option('--parent <name>', 'scope that a new scope inherits from')
  .action(({ project, scope, parent }: EnsureToken) =>
    withDatabase(async (db) => {
      const { KILN_BOOTSTRAP_TOKEN: token } = readConfig(AdminEnv, process.env);
      if (token === undefined) {
        throw new KilnError('INVALID_ARGUMENT', 'there is no token', { hint: 'set KILN_BOOTSTRAP_TOKEN' });
      }
      const ids = await new ProjectStore(db).ensure(project, scope, parent);
      await new TokenStore(db).ensure(token, { ...ids, permissions: Permission.options });
      return { project, scope };
    }),
  );

try {
  await program.parseAsync();
} catch (error) {
  const hint = isKilnError(error) && error.hint !== undefined ? `\n${error.hint}` : '';
  process.stderr.write(`${messageOf(error)}${hint}\n`);
  process.exitCode = isKilnError(error) ? error.traits.exit : 1;
}
