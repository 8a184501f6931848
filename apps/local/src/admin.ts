import { foreground, KilnError } from '#std';
import type { LocalConfig } from './config.ts';
import { ask } from './control.ts';
import { readIdentity } from './identity.ts';
import { makeLayout } from './layout.ts';
import { adminEnv, adminMain, type FarmParts } from './services.ts';

/**
 * Runs a command of the admin program on the farm of a data directory, with this process' streams.
 * @returns its exit code
 * @throws KilnError FARM_UNREACHABLE when the farm does not run
 */
export async function runAdmin(dataDir: string, args: readonly string[], config: LocalConfig): Promise<number> {
  const identity = await readIdentity(dataDir);
  const layout = identity === undefined ? undefined : await makeLayout(dataDir);
  if (
    identity === undefined ||
    layout === undefined ||
    (await ask(layout.id, identity.token, 'GET', '/status')) === undefined
  )
    throw new KilnError('FARM_UNREACHABLE', `no farm runs for ${dataDir}`, {
      hint: 'start it with kiln up, or run kiln admin with the environment of a farm’s API',
    });
  const disks = args[0] === 'doctor' ? ['--disk', layout.data, '--disk', layout.open] : [];
  return await adminProgram({ layout, identity, ...config }, [...args, ...disks]);
}

/** The same, whoever has looked whether Postgres runs. @returns its exit code */
export async function adminProgram(parts: FarmParts, args: readonly string[]): Promise<number> {
  return await foreground([adminMain, ...args], adminEnv(parts));
}
