import { z } from 'zod';
import type { CacheSeries, CacheSeriesQuery, SeriesDay } from '#protocol';
import type { Database } from './database.ts';
import { countColumns, countedRows, daysAgo, groupings, renamed, sumsOf, today } from './statistics-groups.ts';

const Span = z.object({ since: z.string(), until: z.string() });
const Row = z
  .object({ rank: z.int(), names: z.int(), name: z.string().nullable(), day: z.string(), ...countColumns })
  .transform(renamed);

/** What statistics come to day by day, for the first groups each, and for all others together. */
export async function readSeries(
  db: Database,
  project: string,
  projectIds: readonly string[],
  { days, by, scope, limit }: CacheSeriesQuery,
): Promise<CacheSeries> {
  const [span] = await db.query(
    Span,
    `SELECT to_char(${daysAgo(1)}, 'YYYY-MM-DD') AS since, to_char(${today}, 'YYYY-MM-DD') AS until`,
    [days - 1],
  );
  if (span === undefined) throw new Error('a date without a row');
  const { name, order, table, join, where } = groupings[by];
  const rows = await db.query(
    Row,
    `WITH each AS MATERIALIZED (
       SELECT ${name} AS name, t.day, ${sumsOf(table)} ${countedRows(table, join)} AND ${where} GROUP BY 1, 2),
     ranked AS (
       SELECT name, least(row_number() OVER (ORDER BY ${order}), $4::int + 1)::int AS rank
       FROM (SELECT name, sum(misses) AS misses, sum(spent_ms) AS spent_ms, sum(saved_ms) AS saved_ms FROM each GROUP BY name) n)
     SELECT r.rank, (SELECT count(*)::int FROM ranked f WHERE f.rank = r.rank) AS names,
       CASE WHEN r.rank <= $4::int THEN min(e.name) END AS name, to_char(e.day, 'YYYY-MM-DD') AS day,
       sum(e.hits)::bigint AS hits, sum(e.joined)::bigint AS joined, sum(e.misses)::bigint AS misses,
       sum(e.followed)::bigint AS followed, sum(e.saved_ms) AS saved_ms, sum(e.saved_bytes)::bigint AS saved_bytes,
       sum(e.spent_ms) AS spent_ms
     FROM each e JOIN ranked r USING (name) GROUP BY r.rank, e.day ORDER BY r.rank, e.day`,
    [projectIds, days - 1, scope ?? null, limit],
  );
  const groups: CacheSeries['groups'] = [];
  let others: CacheSeries['others'] = null;
  for (const [rank, own] of Map.groupBy(rows, (row) => row.rank)) {
    const days = own.map(({ rank: _rank, names: _names, name: _name, ...day }) => day);
    const series = { total: sum(days), days };
    if (rank <= limit) groups.push({ name: own[0]?.name ?? '', ...series });
    else others = { groups: own[0]?.names ?? 0, ...series };
  }
  const all = [...Map.groupBy(rows, ({ day }) => day)]
    .map(([day, own]) => ({ day, ...sum(own) }))
    .sort((a, b) => (a.day < b.day ? -1 : 1));
  return { project, ...span, by, total: sum(all), days: all, groups, others };
}

function sum(days: readonly Omit<SeriesDay, 'day'>[]): Omit<SeriesDay, 'day'> {
  const none = { hits: 0, joined: 0, misses: 0, followed: 0, savedMs: 0, savedBytes: 0, spentMs: 0 };
  return days.reduce(
    (all, day) => ({
      hits: all.hits + day.hits,
      joined: all.joined + day.joined,
      misses: all.misses + day.misses,
      followed: all.followed + day.followed,
      savedMs: all.savedMs + day.savedMs,
      savedBytes: all.savedBytes + day.savedBytes,
      spentMs: all.spentMs + day.spentMs,
    }),
    none,
  );
}
