import { fileURLToPath } from 'node:url';
import { foreground } from '#std';
import { readConfig, readLocalConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { supervisorMain } from '../farm/start-farm.ts';
import { usageError } from '../usage.ts';

export interface AdminFlags {
  readonly json?: boolean;
  readonly data?: string;
}

/** The program that is beside the API, in the build's output. */
const adminMain = fileURLToPath(new URL('../../../api/src/admin.js', import.meta.url));

/** Runs a command of the API's admin program, with this process' streams and its exit code. */
export async function admin(words: readonly string[], flags: AdminFlags): Promise<void> {
  const args = flags.json === true ? [...words.slice(0, 1), '--json', ...words.slice(1)] : words;
  const code = await foreground(commandFor(args, flags));
  if (code !== 0) throw new Exit(code);
}

/**
 * For the farm whose processes have this environment, else for the embedded one.
 * @throws KilnError INVALID_ARGUMENT when a farm elsewhere is meant: its database is not to be reached from here
 */
function commandFor(args: readonly string[], { data }: AdminFlags): readonly string[] {
  if (data === undefined && (process.env['KILN_DATABASE_URL'] ?? '') !== '') return [adminMain, ...args];
  const { farm } = data === undefined ? readConfig(process.env) : { farm: undefined };
  if (farm !== undefined)
    throw usageError(
      `kiln admin works on a farm’s own database and store, and ${farm.url} is reached through its API alone`,
      'run it where that API runs, with its environment: KILN_DATABASE_URL, KILN_REDIS_URL, KILN_OBJECT_STORE, KILN_SECRET_KEY; or name an embedded farm with --data',
    );
  const { dataDir } = readLocalConfig(process.env, data);
  return [supervisorMain, 'admin', '--data', dataDir, '--', ...args];
}
