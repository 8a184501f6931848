import type { ContentStore } from '#content';
import { type Clock, collect, type Random, single } from '#std';
import { checkSchema, type Database, databaseHealth, migrations, type RedisLink } from '#storage';
import { type Check, failed, ok, warning, wrong } from './check.ts';

const POSTGRES_MAJOR = 15;
const REDIS_MAJOR = 6;
/** Of the connections that may be in use. */
const CROWDED = 0.8;
const CLOCK_SKEW_MS = 2_000;
const PROBE_BYTES = 4_096;

/** Whether Postgres answers, what it is, whether its schema is this version's, and how far its clock is from this machine's. */
export async function checkPostgres(db: Database, clock: Clock): Promise<readonly Check[]> {
  const beganMs = clock.nowMs();
  const health = await databaseHealth(db).catch((thrown: unknown) => failed('postgres', thrown, 'check Postgres'));
  if ('state' in health) return [health];
  const middleMs = (beganMs + clock.nowMs()) / 2;
  const { version, connections, nowMs } = health;
  return [
    Number.parseInt(version, 10) >= POSTGRES_MAJOR
      ? ok('postgres', `version ${version}`)
      : warning('postgres', `version ${version}`, `Kiln is tested on Postgres ${POSTGRES_MAJOR} and later: update it`),
    connectionsCheck(connections),
    await checkMigrations(db),
    clockCheck(nowMs - middleMs),
  ];
}

function connectionsCheck({ used, max }: { readonly used: number; readonly max: number }): Check {
  const text = `${used} of ${max} connections are in use`;
  if (used < max * CROWDED) return ok('connections', text);
  return warning('connections', text, 'raise max_connections of Postgres, or lower KILN_DATABASE_CONNECTIONS');
}

async function checkMigrations(db: Database): Promise<Check> {
  try {
    await checkSchema(db);
    const newest = migrations.at(-1);
    return ok('migrations', `all ${migrations.length} are applied, the newest is ${newest?.name ?? 'none'}`);
  } catch (thrown) {
    return failed('migrations', thrown, 'run the command migrate of this version');
  }
}

function clockCheck(skewMs: number): Check {
  const text = `the database’s clock is ${Math.abs(Math.round(skewMs))} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this machine’s`;
  if (Math.abs(skewMs) <= CLOCK_SKEW_MS) return ok('clocks', text);
  return warning('clocks', text, 'run a time service (chrony, systemd-timesyncd) on both');
}

/** Whether Redis answers, and keeps what it is given. */
export async function checkRedis(redis: RedisLink): Promise<readonly Check[]> {
  const info = await redis
    .info()
    .catch((thrown: unknown) => failed('redis', thrown, 'check that Redis runs and KILN_REDIS_URL is right'));
  if ('state' in info) return [info];
  const version = info.get('redis_version') ?? 'unknown';
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  return [
    Number.parseInt(version, 10) >= REDIS_MAJOR
      ? ok('redis', `version ${version}`)
      : warning('redis', `version ${version}`, `use Redis ${REDIS_MAJOR}.2 or later`),
    policy === 'noeviction'
      ? ok('eviction', 'Redis evicts nothing')
      : wrong('eviction', `maxmemory-policy is ${policy}: jobs may vanish`, 'set maxmemory-policy to noeviction'),
  ];
}

export interface StoreProbe {
  readonly content: ContentStore;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** Writes a small blob of its own, reads it back and removes it. */
export async function checkObjectStore({ content, random, signal }: StoreProbe): Promise<Check> {
  const name = 'object store';
  const next = 'check KILN_OBJECT_STORE, its credentials and the way to it';
  const bytes = random(PROBE_BYTES);
  try {
    const { digest } = await content.put(single(bytes), undefined, signal);
    const digests = new Set([digest]);
    // Also where it cannot be read.
    const read = await collect(content.get(digest, signal), PROBE_BYTES).finally(() => content.remove(digests));
    if (!read.equals(bytes))
      return wrong(name, 'it gives other bytes than it was given', 'check the disks of the store');
    if ((await content.findMissing(digests, signal)).size === 0)
      return wrong(
        name,
        'what was removed is still there',
        'the collector frees nothing: check what may be deleted there',
      );
    return ok(name, 'a blob was written, read and removed');
  } catch (thrown) {
    return failed(name, thrown, next);
  }
}
