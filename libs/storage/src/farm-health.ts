import type { BuildJob } from '#protocol';
import { z } from 'zod';
import { shownState } from './builder-registry.ts';
import { bigintColumn, type Database } from './database.ts';

/** How Postgres is, for the farm's operator. */
export interface DatabaseHealth {
  readonly version: string;
  readonly connections: { readonly used: number; readonly max: number };
  /** its clock, in the middle of the question */
  readonly nowMs: number;
}

const Health = z.object({ version: z.string(), used: bigintColumn, max: z.int(), now_ms: z.number() });

/** @throws KilnError UNAVAILABLE */
export async function databaseHealth(db: Database): Promise<DatabaseHealth> {
  const [row] = await db.query(
    Health,
    `SELECT current_setting('server_version') AS version,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS max,
       extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms`,
  );
  if (row === undefined) throw new Error('a question without an answer');
  const { version, used, max, now_ms: nowMs } = row;
  return { version, connections: { used, max }, nowMs };
}

/** A builder that has not said that it stopped. */
export interface BuilderHealth {
  readonly id: string;
  readonly state: string;
  readonly silentMs: number;
  readonly platforms: readonly string[];
  readonly emulated: readonly string[];
}

const Builder = z.object({
  id: z.string(),
  state: z.string(),
  silent_ms: z.number(),
  platforms: z.array(z.string()),
  emulated: z.array(z.string()),
});
const MAX_BUILDERS = 1_000;

/** Those that were heard of within `withinMs` and have not stopped. @throws KilnError UNAVAILABLE */
export async function builderHealth(db: Database, withinMs: number): Promise<readonly BuilderHealth[]> {
  const rows = await db.query(
    Builder,
    `SELECT id, ${shownState} AS state, extract(epoch FROM now() - heartbeat_at)::float8 * 1000 AS silent_ms, platforms, emulated
     FROM builders WHERE state <> 'stopped' AND heartbeat_at > now() - $1 * interval '1 millisecond'
     ORDER BY id LIMIT ${MAX_BUILDERS}`,
    [withinMs],
  );
  return rows.map(({ silent_ms: silentMs, ...row }) => ({ ...row, silentMs }));
}

const Idle = z.object({ id: z.string() });

/** Of these jobs those that bring no build to a builder: it has ended, or has another job. @throws KilnError UNAVAILABLE */
export async function jobsOfNoBuild(db: Database, jobs: readonly BuildJob[]): Promise<readonly string[]> {
  const rows = await db.query(
    Idle,
    `SELECT j.id FROM unnest($1::text[], $2::int[]) AS j (id, attempt) WHERE NOT EXISTS (
       SELECT FROM builds b WHERE b.state IN ('queued', 'running') AND b.id = j.id AND b.attempt = j.attempt)
     AND NOT EXISTS (
       SELECT FROM builds b WHERE b.state = 'queued' AND b.ticket_build = j.id AND b.ticket_attempt = j.attempt)`,
    [jobs.map(({ buildId }) => buildId), jobs.map(({ attempt }) => attempt)],
  );
  return rows.map(({ id }) => id);
}
