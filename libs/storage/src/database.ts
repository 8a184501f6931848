import pg from 'pg';
import { z } from 'zod';
import { isKilnError, KilnError, type Logger, silentLogger } from '#std';
import { databaseError } from './database-error.ts';

/** Who can be asked in SQL: the pool, or one transaction. Values go as parameters, never into the text. */
export interface Sql {
  /**
   * The rows, each checked by the schema.
   * @throws KilnError UNAVAILABLE when the database is away, INTERNAL when it refuses or answers with other rows
   */
  query<T>(row: z.ZodType<T>, text: string, values?: readonly unknown[]): Promise<readonly T[]>;
  /** How many rows were written. @throws as {@link query} */
  execute(text: string, values?: readonly unknown[]): Promise<number>;
}

export interface DatabaseOptions {
  /** postgres://… */
  readonly url: string;
  /** connections at most */
  readonly max: number;
  readonly logger?: Logger | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** Above the server's own limit: only for a server that does not answer at all. */
const ANSWER_TIMEOUT_MS = 35_000;

/** A lock of the database while somebody holds it. */
export interface HeldLock {
  /** aborted when it is held no more */
  readonly lost: AbortSignal;
  /** @throws KilnError UNAVAILABLE when it is held no more */
  check(): Promise<void>;
}

/** A pool of connections to Postgres. */
export class Database implements Sql, AsyncDisposable {
  readonly #pool: pg.Pool;

  constructor({ url, max, logger = silentLogger }: DatabaseOptions) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'kiln',
    });
    // An idle connection that breaks is replaced at the next use; unheard, the event would end the process.
    this.#pool.on('error', (error) => logger.warn('a database connection was lost', { error: error.message }));
  }

  async query<T>(row: z.ZodType<T>, text: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    return parseRows(row, await this.#ask(text, values));
  }

  async execute(text: string, values: readonly unknown[] = []): Promise<number> {
    return (await this.#ask(text, values)).rowCount ?? 0;
  }

  /**
   * All of `work`, or nothing. What it throws is thrown after the roll-back.
   * @param timeoutMs what a statement may take, where that is more than answers to builds may
   */
  async transaction<T>(work: (sql: Sql) => Promise<T>, timeoutMs?: number): Promise<T> {
    const client = await this.#connect();
    const patience =
      timeoutMs === undefined ? {} : { query_timeout: timeoutMs + ANSWER_TIMEOUT_MS - STATEMENT_TIMEOUT_MS };
    let broken = false;
    // Between two statements too a connection can break; unheard, that would end the process. The next statement says it.
    const onBroken = (): void => {
      broken = true;
    };
    client.on('error', onBroken);
    const ask = async (text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> => {
      try {
        return await client.query({ text, values: [...values], ...patience });
      } catch (thrown) {
        throw databaseError(thrown);
      }
    };
    const sql: Sql = {
      query: async (row, text, values) => parseRows(row, await ask(text, values)),
      execute: async (text, values) => (await ask(text, values)).rowCount ?? 0,
    };
    try {
      await ask('BEGIN');
      if (timeoutMs !== undefined) await ask(`SET LOCAL statement_timeout = ${Math.round(timeoutMs)}`);
      const result = await work(sql);
      await ask('COMMIT');
      return result;
    } catch (thrown) {
      await ask('ROLLBACK').catch(() => {
        broken = true;
      });
      throw thrown;
    } finally {
      client.off('error', onBroken);
      client.release(broken);
    }
  }

  /**
   * Holds a lock of the database, waiting for it at first, as long as `work` takes. It goes with its connection, so with this
   * process, however that ends.
   * @throws KilnError UNAVAILABLE when somebody else keeps it for too long
   */
  async holding<T>(lock: number, work: (held: HeldLock) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const lost = new AbortController();
    const onBroken = (error: Error): void => lost.abort(databaseError(error));
    client.on('error', onBroken);
    const ask = async (text: string, values: unknown[] = []): Promise<void> => {
      lost.signal.throwIfAborted();
      await client.query(text, values).catch((thrown: unknown) => {
        throw databaseError(thrown);
      });
    };
    try {
      await ask('SELECT pg_advisory_lock($1)', [lock]).catch((cause: unknown) => {
        if (!isKilnError(cause, 'UNAVAILABLE')) throw cause;
        throw new KilnError('UNAVAILABLE', 'the database is away, or another process keeps its lock for too long', {
          cause,
          hint: 'try again when the other backup or repair has ended',
        });
      });
      return await work({ lost: lost.signal, check: () => ask('SELECT 1') });
    } finally {
      client.off('error', onBroken);
      // Its end frees the lock.
      client.release(true);
    }
  }

  /** @throws KilnError UNAVAILABLE */
  async ping(): Promise<void> {
    await this.execute('SELECT 1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end();
  }

  async #ask(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    try {
      return await this.#pool.query(text, [...values]);
    } catch (thrown) {
      throw databaseError(thrown);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (thrown) {
      throw databaseError(thrown);
    }
  }
}

export function openDatabase(options: DatabaseOptions): Database {
  return new Database(options);
}

function parseRows<T>(row: z.ZodType<T>, result: pg.QueryResult): readonly T[] {
  const parsed = z.array(row).safeParse(result.rows);
  if (parsed.success) return parsed.data;
  throw new KilnError('INTERNAL', `the database answered with rows that are not understood: ${parsed.error.message}`, {
    cause: parsed.error,
  });
}

/** A `bigint` column, which the driver gives as text. */
export const bigintColumn = z
  .string()
  .regex(/^-?\d+$/)
  .transform(Number)
  .refine(Number.isSafeInteger, 'beyond the safe integers');
