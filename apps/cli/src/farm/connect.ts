import { KilnClient } from '#client';
import { KilnError } from '#std';
import type { Config } from '../config.ts';
import { type FarmAddress, readFarmFile } from './farm-file.ts';

const EMBEDDED_HINT = 'start it with kiln up, or name another farm with KILN_URL';

/** A client of the configured farm, or of the embedded one with this address. */
export function clientFor(config: Config, embedded: FarmAddress | undefined): KilnClient {
  if (config.farm !== undefined) return new KilnClient({ baseUrl: config.farm.url, token: config.farm.token });
  if (embedded === undefined) {
    throw new KilnError('FARM_UNREACHABLE', `no farm runs for ${config.dataDir}`, { hint: EMBEDDED_HINT });
  }
  return new KilnClient({ baseUrl: embedded.url, token: embedded.token, unreachableHint: EMBEDDED_HINT });
}

/**
 * A client of a farm that is there already; none is started.
 * @throws KilnError FARM_UNREACHABLE when there is none
 */
export async function connect(config: Config): Promise<KilnClient> {
  return clientFor(config, config.farm === undefined ? await readFarmFile(config.dataDir) : undefined);
}
