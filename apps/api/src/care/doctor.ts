import { openContentStore } from '#content';
import { QueueView } from '#dispatch';
import { type Clock, type Random, silentLogger } from '#std';
import { builderHealth, BuildLedger, type Database, openDatabase, openRedis, type RedisLink } from '#storage';
import type { CareConfig } from '../config.ts';
import { type Check, failed } from './check.ts';
import { checkBuilders, checkDisks, checkKey, checkQueue } from './check-farm.ts';
import { checkObjectStore, checkPostgres, checkRedis } from './check-services.ts';

export interface DoctorOptions {
  readonly config: CareConfig;
  /** folders whose disks are looked at, besides the store's */
  readonly disks: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

const CONNECTIONS = 4;
const STORE_MS = 30_000;
const WEEK_MS = 7 * 86_400_000;

interface Farm extends DoctorOptions {
  readonly db: Database;
  readonly redis: RedisLink;
}

/** Looks at all that a farm stands on, and changes nothing. What does not answer hides nothing else. */
export async function doctor(options: DoctorOptions): Promise<readonly Check[]> {
  const { config } = options;
  await using db = openDatabase({ url: config.KILN_DATABASE_URL, max: CONNECTIONS });
  await using redis = openRedis({ url: config.KILN_REDIS_URL });
  const farm = { ...options, db, redis };
  const [postgres, queue, store, disks] = await Promise.all([
    checkPostgres(db, options.clock),
    checkRedis(redis),
    storeCheck(options),
    checkDisks(disksOf(options)),
  ]);
  const answers = (checks: readonly Check[]): boolean => !checks.some(({ unreachable }) => unreachable);
  const migrated = postgres.every(({ name, state }) => name !== 'migrations' || state === 'ok');
  const known = answers(postgres) && migrated ? await ledgerChecks(farm, answers(queue)) : [];
  return [...postgres, ...queue, store, ...disks, ...known];
}

async function storeCheck({ config, clock, random, signal }: DoctorOptions): Promise<Check> {
  try {
    const content = await openContentStore(config.KILN_OBJECT_STORE, { random, clock, tuning: { attempts: 1 } });
    const patience = AbortSignal.any([signal, AbortSignal.timeout(STORE_MS)]);
    return await checkObjectStore({ content, random, signal: patience });
  } catch (thrown) {
    return failed('object store', thrown, 'check KILN_OBJECT_STORE');
  }
}

const disksOf = ({ config: { KILN_OBJECT_STORE: store }, disks }: DoctorOptions): readonly string[] =>
  store.kind === 'folder' ? [store.root, ...disks] : disks;

/** What the ledger tells, and the queue beside it. */
async function ledgerChecks(farm: Farm, withQueue: boolean): Promise<readonly Check[]> {
  const { db, redis, config, clock, signal } = farm;
  const key = Buffer.from(config.KILN_SECRET_KEY, 'hex');
  const checks = [await looked('key', async () => [await checkKey(db, key)])];
  if (!withQueue) return checks.flat();
  const builderIds = (await builderHealth(db, WEEK_MS)).map(({ id }) => id);
  await using queue = new QueueView({ redisUrl: config.KILN_REDIS_URL, builderIds });
  const ledger = new BuildLedger({ db, redis, clock, logger: silentLogger });
  checks.push(await looked('builders', () => checkBuilders(db, queue)));
  checks.push(await looked('queue', () => checkQueue({ db, ledger, queue, clock, signal })));
  return checks.flat();
}

async function looked(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  return await look().catch((thrown: unknown) => [failed(name, thrown, 'try again')]);
}
