import { z } from 'zod';
import { bigintColumn, type Database, type Sql } from '../database.ts';
import type { Finding } from './finding.ts';

const Sum = z.object({ id: z.string(), kept: bigintColumn, found: bigintColumn });
type Sum = z.infer<typeof Sum>;
const BUILDS = 1_000;

/** A number beside rows, and how it is read and set. */
interface Counter {
  readonly what: (id: string, sum: Sum) => string;
  /** those that are wrong, of one snapshot; `$1`: after this id */
  readonly wrong: string;
  readonly set: (sql: Sql, sum: Sum) => Promise<unknown>;
  readonly page: number;
}

const sentTotals: Counter = {
  what: (id, { kept, found }) => `project ${id} is said to have sent ${kept} bytes, and has sent ${found}`,
  wrong: `SELECT p.id, coalesce(t.bytes, 0) AS kept, coalesce(s.bytes, 0) AS found FROM projects p
    LEFT JOIN sent_totals t ON t.project_id = p.id
    LEFT JOIN LATERAL (SELECT sum(size_bytes)::bigint AS bytes FROM sent_blobs WHERE project_id = p.id) s ON true
    WHERE p.id > $1 AND coalesce(t.bytes, 0) <> coalesce(s.bytes, 0) ORDER BY p.id LIMIT 100`,
  page: 100,
  async set(sql, { id }) {
    await sql.execute('INSERT INTO sent_totals (project_id, bytes) VALUES ($1, 0) ON CONFLICT DO NOTHING', [id]);
    // Uploads that are noted now wait for the row; the next statement sees all that were noted before.
    await sql.execute('SELECT FROM sent_totals WHERE project_id = $1 FOR UPDATE', [id]);
    await sql.execute(
      `UPDATE sent_totals SET bytes = (SELECT coalesce(sum(size_bytes), 0) FROM sent_blobs WHERE project_id = $1)
       WHERE project_id = $1`,
      [id],
    );
  },
};

const lastEvents: Counter = {
  what: (id, { kept, found }) => `build ${id} counts ${kept} events, and has ${found}`,
  wrong: `SELECT b.id, b.last_seq AS kept, e.seq AS found
    FROM (SELECT id, last_seq, state FROM builds WHERE id > $1 ORDER BY id LIMIT ${BUILDS}) b CROSS JOIN LATERAL (
      SELECT greatest((SELECT max(seq) FROM build_events WHERE build_id = b.id),
        (SELECT max(last_seq) FROM event_archives WHERE build_id = b.id)) AS seq) e
    WHERE e.seq > b.last_seq OR (e.seq < b.last_seq AND b.state NOT IN ('queued', 'running')) ORDER BY b.id`,
  page: BUILDS,
  set: (sql, { id, found }) => sql.execute('UPDATE builds SET last_seq = $2 WHERE id = $1', [id, found]),
};

/** What one event may take, and is not in the number: the last of a build. */
const SLACK_BYTES = 65_536;

/**
 * What of a log is in rows decides when it is archived: where the number is too large, a build is looked at for ever; too small,
 * never. The number is of UTF-16, which has up to twice as many units as there are characters.
 */
const looseBytes: Counter = {
  what: (id, { kept, found }) => `build ${id} is said to have ${kept} bytes of events in rows, and has ${found}`,
  wrong: `SELECT b.id, b.loose_bytes AS kept, e.bytes AS found
    FROM (SELECT id, loose_bytes FROM builds WHERE id > $1 ORDER BY id LIMIT ${BUILDS}) b CROSS JOIN LATERAL (
      SELECT coalesce(sum(length(payload::text)), 0)::bigint AS bytes FROM build_events WHERE build_id = b.id) e
    WHERE b.loose_bytes NOT BETWEEN e.bytes - ${SLACK_BYTES} AND 2 * e.bytes + ${SLACK_BYTES} ORDER BY b.id`,
  page: BUILDS,
  async set(sql, { id }) {
    // Who adds events waits for the row; the next statement sees all that were added before.
    await sql.execute('SELECT FROM builds WHERE id = $1 FOR UPDATE', [id]);
    await sql.execute(
      `UPDATE builds SET loose_bytes = (SELECT coalesce(sum(length(payload::text)), 0) FROM build_events WHERE build_id = $1)
       WHERE id = $1`,
      [id],
    );
  },
};

/** Figures of the whole farm only grow, whatever is swept meanwhile: they are no less than what is still there. */
const figures: Counter = {
  what: (id, { kept, found }) => `the farm is said to have counted ${kept} of ${id}, and there are ${found}`,
  wrong: `SELECT concat_ws('/', k.name, nullif(k.label, '')) AS id, coalesce(sum(c.value), 0)::bigint AS kept, k.found FROM (
      SELECT 'builds_submitted' AS name, '' AS label, count(*) AS found FROM builds WHERE parent_id IS NULL
      UNION ALL SELECT 'builds_ended', state, count(*) FROM builds
        WHERE parent_id IS NULL AND state NOT IN ('queued', 'running') GROUP BY state
      UNION ALL SELECT 'steps', outcome, sum(steps)::bigint FROM step_statistics GROUP BY outcome
      UNION ALL SELECT 'misses', cause, sum(steps)::bigint FROM step_statistics WHERE outcome = 'miss' GROUP BY cause) k
    LEFT JOIN farm_counters c USING (name, label)
    GROUP BY k.name, k.label, k.found HAVING coalesce(sum(c.value), 0) < k.found AND $1 = '' ORDER BY 1`,
  page: Number.POSITIVE_INFINITY,
  async set(sql, { id, kept, found }) {
    const [name, label = ''] = id.split('/');
    await sql.execute(
      `INSERT INTO farm_counters AS t (shard, name, label, value) VALUES (0, $1, $2, $3)
       ON CONFLICT (shard, name, label) DO UPDATE SET value = t.value + excluded.value`,
      [name, label, found - kept],
    );
  },
};

const Bound = z.object({ id: z.string().nullable() });

interface SumsCheck {
  readonly db: Database;
  readonly repair: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Numbers that are kept beside rows, against the rows. */
export async function* checkSums(check: SumsCheck): AsyncIterable<readonly Finding[]> {
  yield* checkTotals(check, sentTotals);
  yield* checkTotals(check, figures);
  yield* checkBuilds(check);
}

async function* checkTotals({ db, repair, signal }: SumsCheck, counter: Counter): AsyncIterable<readonly Finding[]> {
  for (let after = '', rows = counter.page; rows === counter.page; ) {
    signal?.throwIfAborted();
    const wrong = await db.query(Sum, counter.wrong, [after]);
    rows = wrong.length;
    after = wrong.at(-1)?.id ?? after;
    yield await told(db, counter, wrong, repair);
  }
}

async function* checkBuilds({ db, repair, signal }: SumsCheck): AsyncIterable<readonly Finding[]> {
  for (let after: string | null = ''; after !== null; ) {
    signal?.throwIfAborted();
    for (const counter of [lastEvents, looseBytes]) {
      const wrong: readonly Sum[] = await db.query(Sum, counter.wrong, [after]);
      yield await told(db, counter, wrong, repair);
    }
    const [bound]: readonly z.infer<typeof Bound>[] = await db.query(
      Bound,
      `SELECT max(id) AS id FROM (SELECT id FROM builds WHERE id > $1 ORDER BY id LIMIT ${BUILDS}) b`,
      [after],
    );
    after = bound?.id ?? null;
  }
}

async function told(
  db: Database,
  counter: Counter,
  wrong: readonly Sum[],
  repair: boolean,
): Promise<readonly Finding[]> {
  if (repair) for (const sum of wrong) await db.transaction((sql) => counter.set(sql, sum));
  return wrong.map((sum) => ({ kind: 'sum', message: counter.what(sum.id, sum), mended: repair }));
}
