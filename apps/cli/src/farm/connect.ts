import { type ConnectionOptions, KilnClient } from '#client';
import { KilnError } from '#std';
import type { Config, LocalConfig } from '../config.ts';
import type { Farm } from '../contexts/choose-farm.ts';
import { type FarmAddress, readFarmFile } from './farm-file.ts';

const EMBEDDED_HINT = 'start it with kiln up, or name another farm with KILN_URL or kiln context use';

/** A client of the configured farm, or of the embedded one with this address. */
export function clientFor(config: Config, embedded: FarmAddress | undefined): KilnClient {
  if (config.farm !== undefined) return clientOf(config.farm, config);
  if (embedded === undefined) {
    throw new KilnError('FARM_UNREACHABLE', `no farm runs for ${config.dataDir}`, { hint: EMBEDDED_HINT });
  }
  return new KilnClient({
    baseUrl: embedded.url,
    token: embedded.token,
    unreachableHint: EMBEDDED_HINT,
    unauthenticatedHint: 'another farm has taken its address: kiln down and kiln up start it anew',
  });
}

/** A client of a farm that was named; its failures say what to do about it. */
export function clientOf(
  { url, token, context }: Farm,
  { proxy }: Pick<LocalConfig, 'proxy'>,
  hints: Pick<ConnectionOptions, 'unreachableHint' | 'unauthenticatedHint'> = {},
): KilnClient {
  return new KilnClient({
    baseUrl: url,
    token,
    proxy,
    unreachableHint:
      context === undefined
        ? 'check KILN_URL, or run without it to use an embedded farm'
        : `kiln context update ${context} --url changes its address, kiln context use chooses another farm`,
    unauthenticatedHint:
      context === undefined
        ? `set KILN_TOKEN to a token of this farm, or log in: kiln login ${url}`
        : `log in: kiln login --context ${context}`,
    ...hints,
  });
}

/**
 * A client of a farm that is there already; none is started.
 * @throws KilnError FARM_UNREACHABLE when there is none
 */
export async function connect(config: Config): Promise<KilnClient> {
  if (config.farm === undefined) return clientFor(config, await readFarmFile(config.dataDir));
  return clientFor(await authorized(config), undefined);
}

// By itself: the compiler leaves the name of an import as it is in a function with `await using`.
const loadExchange = () => import('../contexts/exchange.ts');

/** The same, with a token of the farm for the CI job's id token where one is wanted. @throws KilnError as exchangeIdToken does */
export async function authorized(config: Config): Promise<Config> {
  const { farm, exchange } = config;
  if (farm === undefined || farm.token !== undefined || exchange === undefined) return config;
  const { exchangeIdToken } = await loadExchange();
  await using client = clientOf(farm, config);
  const { access_token: token } = await exchangeIdToken(client, farm, exchange);
  return { ...config, farm: { ...farm, token } };
}
