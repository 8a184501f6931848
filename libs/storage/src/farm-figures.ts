import { z } from 'zod';
import { shownState } from './builder-registry.ts';
import { bigintColumn, type Database } from './database.ts';

/** What an operator wants to know of the whole farm. */
export interface FarmFigures {
  /** builds without their parts */
  readonly queued: number;
  readonly running: number;
  readonly oldestQueuedSeconds: number;
  readonly builders: { readonly ready: number; readonly draining: number; readonly drained: number };
  /** of builders that are ready */
  readonly slots: number;
  readonly blobs: number;
  readonly blobBytes: number;
  readonly results: number;
  /** deliveries: those that wait, and those that failed within a day */
  readonly webhooks: { readonly pending: number; readonly failed: number };
  readonly totals: FarmTotals;
}

/** What the farm has done since it began: counted in the transactions that accept and end builds, and never less. */
export interface FarmTotals {
  readonly buildsSubmitted: number;
  /** by builders that were missed while they ran them, each time */
  readonly buildsLost: number;
  /** by outcome: `succeeded`, `failed`, `cancelled`; what never happened is absent, here and below */
  readonly buildsEnded: Readonly<Record<string, number>>;
  /** of builds that ended, by outcome: `hit`, `joined`, `miss` */
  readonly steps: Readonly<Record<string, number>>;
  /** by cause, as statistics have it */
  readonly misses: Readonly<Record<string, number>>;
  readonly savedMs: number;
  readonly savedBytes: number;
  /** by steps that ran */
  readonly spentMs: number;
}

const Queue = z.object({ queued: bigintColumn, running: bigintColumn, oldest: z.number() });
const Builders = z.object({
  ready: bigintColumn,
  draining: bigintColumn,
  drained: bigintColumn,
  slots: bigintColumn,
});
const Content = z.object({ blobs: bigintColumn, bytes: bigintColumn, results: bigintColumn });
const Total = z.object({ name: z.string(), label: z.string(), value: z.number() });
const Webhooks = z.object({ pending: bigintColumn, failed: bigintColumn });

const FRESH_MS = 10_000;
/** Counted over whole tables. */
const CONTENT_FRESH_MS = 60_000;

interface Now {
  nowMs(): number;
}

/** Asks Postgres no more often than figures change that are looked at, however many ask, and one at a time. */
export class FarmFigureReader {
  readonly #db: Database;

  readonly #content: Fresh<z.infer<typeof Content>>;
  readonly #all: Fresh<FarmFigures>;

  /** @param builderTtlMs how long a builder counts after it was heard of */
  constructor(db: Database, clock: Now, builderTtlMs: number) {
    this.#db = db;

    this.#content = new Fresh(clock, CONTENT_FRESH_MS, () => this.#readContent());
    this.#all = new Fresh(clock, FRESH_MS, () => this.#read(builderTtlMs));
  }

  /** @throws KilnError as the database does */
  read(): Promise<FarmFigures> {
    return this.#all.get();
  }

  async #read(builderTtlMs: number): Promise<FarmFigures> {
    const content = await this.#content.get();
    const queue = one(
      await this.#db.query(
        Queue,
        `SELECT count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'running') AS running,
           coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE state = 'queued')), 0)::float8 AS oldest
         FROM builds WHERE state IN ('queued', 'running') AND parent_id IS NULL`,
      ),
    );
    const { slots, ...builders } = one(
      await this.#db.query(
        Builders,
        `SELECT count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'draining') AS draining,
           count(*) FILTER (WHERE state = 'drained') AS drained,
           coalesce(sum(slots) FILTER (WHERE state = 'ready'), 0)::bigint AS slots
         FROM (SELECT slots, ${shownState} AS state FROM builders
           WHERE heartbeat_at > now() - $1 * interval '1 millisecond') heard`,
        [builderTtlMs],
      ),
    );
    const webhooks = one(
      await this.#db.query(
        Webhooks,
        `SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
           count(*) FILTER (WHERE state = 'failed' AND ended_at > now() - interval '1 day') AS failed FROM webhook_deliveries`,
      ),
    );
    return {
      queued: queue.queued,
      running: queue.running,
      oldestQueuedSeconds: Math.max(0, queue.oldest),
      builders,
      slots,
      blobs: content.blobs,
      blobBytes: content.bytes,
      results: content.results,
      webhooks,
      totals: await this.#readTotals(),
    };
  }

  async #readTotals(): Promise<FarmTotals> {
    const rows = await this.#db.query(
      Total,
      'SELECT name, label, sum(value) AS value FROM farm_counters GROUP BY 1, 2 ORDER BY 1, 2',
    );
    const labelled = (wanted: string): Readonly<Record<string, number>> =>
      Object.fromEntries(rows.flatMap(({ name, label, value }) => (name === wanted ? [[label, value]] : [])));
    const single = (wanted: string): number => labelled(wanted)[''] ?? 0;
    return {
      buildsSubmitted: single('builds_submitted'),
      buildsLost: single('builds_lost'),
      buildsEnded: labelled('builds_ended'),
      steps: labelled('steps'),
      misses: labelled('misses'),
      savedMs: single('saved_ms'),
      savedBytes: single('saved_bytes'),
      spentMs: single('spent_ms'),
    };
  }

  async #readContent(): Promise<z.infer<typeof Content>> {
    return one(
      await this.#db.query(
        Content,
        `SELECT count(*) AS blobs, coalesce(sum(size_bytes), 0)::bigint AS bytes, (SELECT count(*) FROM results) AS results
         FROM blobs WHERE removed_at IS NULL`,
      ),
    );
  }
}

/** A value that is read again once it is older than so long; a failure is not kept. */
class Fresh<T> {
  #reading: Promise<T> | undefined;
  #untilMs = 0;

  constructor(
    readonly clock: Now,
    readonly ttlMs: number,
    readonly read: () => Promise<T>,
  ) {}

  get(): Promise<T> {
    if (this.#reading !== undefined && this.clock.nowMs() < this.#untilMs) return this.#reading;
    const reading = this.read();
    this.#reading = reading;
    // As long as it lasts; then from its end on.
    this.#untilMs = Infinity;
    reading.then(
      () => {
        this.#untilMs = this.clock.nowMs() + this.ttlMs;
      },
      () => {
        this.#reading = undefined;
      },
    );
    return reading;
  }
}

function one<T>([row]: readonly T[]): T {
  if (row === undefined) throw new Error('a count without a row');
  return row;
}
