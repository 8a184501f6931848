import { z } from 'zod';
import type { Boarding, CacheKey, Flight, Flights } from '#cache';
import { type Digest, DigestSchema } from '#oci';
import { KilnError, type Logger, silentLogger } from '#std';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import type { RedisLink } from './redis.ts';
import { Wakeups } from './wakeups.ts';

type Holder = Pick<Claim, 'buildId' | 'fence' | 'projectId' | 'scopes'>;

export interface FlightsOptions {
  readonly db: Database;
  readonly redis: RedisLink;
  /** says which scopes are read, where own flights are, and under which fence */
  readonly claim: Holder;
  readonly logger?: Logger | undefined;
}

const Flying = z
  .object({
    role: z.literal('passenger'),
    flight_build: z.string(),
    flight_fence: bigintColumn,
    flight_attempt: z.int(),
    flight_vertex: DigestSchema,
    flight_after: bigintColumn,
  })
  .transform(({ role, flight_build: buildId, flight_fence: fence, flight_attempt: attempt, ...row }) => ({
    role,
    flight: { buildId, fence, attempt, vertex: row.flight_vertex, afterSeq: row.flight_after },
  }));
const BoardingRow = z.union([
  Flying,
  z.object({ role: z.literal('owner'), recorded: z.boolean() }),
  z.object({ role: z.literal('fenced') }),
]);
const Answer = z.object({ yes: z.boolean() });

/** Ends flights of a claim, of these keys alone where they are given. @returns how many */
export async function endFlights(
  sql: Sql,
  { buildId, fence }: Pick<Claim, 'buildId' | 'fence'>,
  keys: readonly CacheKey[],
): Promise<number> {
  return await sql.execute('DELETE FROM flights WHERE build_id = $1 AND fence = $2 AND key = ANY ($3::text[])', [
    buildId,
    fence,
    keys,
  ]);
}

/** Ends the flights of a build whose claim ends. */
export async function endFlightsOf(sql: Sql, buildId: string): Promise<void> {
  await sql.execute('DELETE FROM flights WHERE build_id = $1', [buildId]);
}

/** Flights in Postgres: a row each, which counts while its build is running under its very fence. */
export class PostgresFlights implements Flights {
  readonly #db: Database;
  readonly #wakeups: Wakeups;
  readonly #claim: Holder;

  constructor({ db, redis, claim, logger = silentLogger }: FlightsOptions) {
    this.#db = db;
    this.#wakeups = new Wakeups(redis, logger);
    this.#claim = claim;
  }

  async board(key: CacheKey, vertex: Digest): Promise<Boarding> {
    const { projectId, scopes, buildId, fence } = this.#claim;
    const [row] = await this.#db.query(BoardingRow, 'SELECT * FROM board_flight($1, $2, $3, $4, $5, $6)', [
      projectId,
      scopes.map(({ id }) => id),
      key,
      buildId,
      fence,
      vertex,
    ]);
    if (row === undefined || row.role === 'fenced')
      throw new KilnError('FENCED', `the build ${buildId} is no longer held`);
    return row;
  }

  async land(key: CacheKey): Promise<void> {
    const ended = await endFlights(this.#db, this.#claim, [key]);
    if (ended > 0) await this.#wakeups.send(this.#claim.buildId);
  }

  async isInAir(key: CacheKey, { buildId, fence, vertex }: Flight): Promise<boolean> {
    const [answer] = await this.#db.query(
      Answer,
      `SELECT EXISTS (
         SELECT FROM flights f JOIN builds b ON b.id = f.build_id AND b.fence = f.fence AND b.state = 'running'
         WHERE f.project_id = $1 AND f.scope_id = ANY ($2::text[]) AND f.key = $3
           AND f.build_id = $4 AND f.fence = $5 AND f.vertex = $6
       ) AS yes`,
      [this.#claim.projectId, this.#claim.scopes.map(({ id }) => id), key, buildId, fence, vertex],
    );
    return answer?.yes === true;
  }
}
