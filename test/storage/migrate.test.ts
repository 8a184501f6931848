import { checkSchema, type Database, migrate, migrations, openDatabase } from '#storage';
import { isKilnError } from '#std';
import { startPostgres, type TestService } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let postgres: TestService;
let db: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  db = openDatabase({ url: postgres.url, max: 8 });
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const conflict = (thrown: unknown): boolean => isKilnError(thrown, 'CONFLICT');
const next = { number: (migrations.at(-1)?.number ?? 0) + 1, name: 'next', sql: 'CREATE TABLE next_thing (id text)' };

describe('migrations', () => {
  it('are told apart from a database without them', async () => {
    await expect(checkSchema(db)).rejects.toSatisfy((thrown) => isKilnError(thrown, 'UNAVAILABLE'));
  });

  it('are applied once when many processes start together', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => migrate(db)));
    expect(all.flat().toSorted()).toEqual(
      migrations.map(({ name, number }) => `${String(number).padStart(4, '0')}-${name}`),
    );
    expect(await migrate(db)).toEqual([]);
    await checkSchema(db);
  });

  it('that fail leave nothing behind', async () => {
    const broken = { ...next, sql: 'CREATE TABLE half (id text); SELECT nonsense' };
    await expect(migrate(db, [...migrations, broken])).rejects.toSatisfy((thrown) => isKilnError(thrown, 'INTERNAL'));
    expect(await db.execute("SELECT 1 FROM pg_tables WHERE tablename = 'half'")).toBe(0);
  });

  it('refuse a schema that is newer, by name', async () => {
    expect(await migrate(db, [...migrations, next])).toHaveLength(1);
    await expect(migrate(db)).rejects.toSatisfy(conflict);
    await expect(checkSchema(db)).rejects.toThrow(/-next, which this version/);
  });

  it('refuse to have been changed', async () => {
    const changed = { ...next, sql: `${next.sql} ` };
    await expect(migrate(db, [...migrations, changed])).rejects.toThrow(/-next is not what was applied/);
  });
});
