import { createHash } from 'node:crypto';
import { z } from 'zod';
import { KilnError } from '#std';
import type { Database, Sql } from './database.ts';
import { type Migration, migrations } from './migrations/index.ts';

/** Any number that nothing else on this database locks by. */
const LOCK = 7_203_811;
/** A large table may have to be written anew. */
const PATIENCE_MS = 6 * 3_600_000;

const Applied = z.object({ number: z.int(), name: z.string(), checksum: z.string() });

const checksumOf = ({ sql }: Migration): string => createHash('sha256').update(sql).digest('hex');
const titleOf = ({ number, name }: { readonly number: number; readonly name: string }): string =>
  `${String(number).padStart(4, '0')}-${name}`;

/**
 * Brings the schema to what this version of Kiln knows: forward only, one migration a transaction, one process at a time.
 * Harmless when there is nothing to do.
 * @returns names of the migrations that were applied now
 * @throws KilnError CONFLICT when the schema is newer than this version, or a migration was changed after the fact
 */
export async function migrate(db: Database, steps: readonly Migration[] = migrations): Promise<readonly string[]> {
  const applied: string[] = [];
  for (;;) {
    const next = await db.transaction((sql) => applyNext(sql, steps), PATIENCE_MS);
    if (next === undefined) return applied;
    applied.push(next);
  }
}

async function applyNext(sql: Sql, steps: readonly Migration[]): Promise<string | undefined> {
  await sql.execute('SELECT pg_advisory_xact_lock($1)', [LOCK]);
  await sql.execute(`CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
  const count = await checkApplied(sql, steps);
  const next = steps[count];
  if (next === undefined) return undefined;
  await sql.execute(next.sql);
  await sql.execute('INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)', [
    next.number,
    next.name,
    checksumOf(next),
  ]);
  return titleOf(next);
}

async function checkApplied(sql: Sql, steps: readonly Migration[]): Promise<number> {
  const applied = await sql.query(Applied, 'SELECT number, name, checksum FROM schema_migrations ORDER BY number');
  for (const [index, row] of applied.entries()) {
    const known = steps[index];
    if (known === undefined || known.number !== row.number) {
      throw new KilnError(
        'CONFLICT',
        `the database schema has ${titleOf(row)}, which this version of Kiln does not know`,
        {
          hint: 'start the newer version of Kiln that made it',
        },
      );
    }
    if (checksumOf(known) !== row.checksum) {
      throw new KilnError('CONFLICT', `migration ${titleOf(row)} is not what was applied to this database`, {
        hint: 'migrations are never changed: restore the file, and add a new migration',
      });
    }
  }
  return applied.length;
}

/**
 * That the schema is the one that this version works with.
 * @throws KilnError UNAVAILABLE when the database is away, or not migrated yet; CONFLICT as {@link migrate}
 */
export async function checkSchema(db: Database): Promise<void> {
  const exists = z.object({ present: z.boolean() });
  const [table] = await db.query(exists, "SELECT to_regclass('schema_migrations') IS NOT NULL AS present");
  const count = table?.present === true ? await checkApplied(db, migrations) : 0;
  if (count === migrations.length) return;
  throw new KilnError('UNAVAILABLE', `the database has ${count} of ${migrations.length} migrations`, {
    hint: 'run the migrations first',
  });
}
