import { blobsInUse, checkSchema, type Database, migrate, migrations, openDatabase, TokenStore } from '#storage';
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
  it('keep what tokens may do, under its new names, and give every project a team', async () => {
    await using postgresOfBefore = await startPostgres();
    await using before = openDatabase({ url: postgresOfBefore.url, max: 2 });
    await migrate(
      before,
      migrations.slice(
        0,
        migrations.findIndex(({ name }) => name === 'identity'),
      ),
    );
    await before.execute(`INSERT INTO projects (id, name) VALUES ('p', 'old');
      INSERT INTO scopes (project_id, id, name, trust) VALUES ('p', 's', 'main', 3);
      INSERT INTO tokens (id, project_id, scope_id, sha256, permissions)
      VALUES ('t', 'p', 's', sha256('kiln_${'0'.repeat(40)}'), '{builds:read,builds:write}')`);
    await migrate(before);
    const { permissions, ...principal } = await new TokenStore(before).verify(`kiln_${'0'.repeat(40)}`);
    expect(permissions.toSorted()).toEqual(['build', 'read']);
    expect(principal).toMatchObject({ project: 'old', teamId: 'default', member: null, expiresAt: null });
  });

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

describe('the list of a backup', () => {
  it('is in the order of bytes, also where the database sorts digests as people sort words', async () => {
    await using other = await startPostgres();
    await using sorted = openDatabase({ url: other.url, max: 2 });
    await migrate(sorted);
    // In Danish aa comes after z.
    await sorted.execute('ALTER TABLE blobs ALTER COLUMN digest TYPE text COLLATE "da-x-icu"');
    const digests = ['a9', 'aa', 'ab', 'b0'].map((begin) => `sha256:${begin.padEnd(64, '0')}`);
    await sorted.execute('INSERT INTO blobs (digest, size_bytes) SELECT unnest($1::text[]), 1', [digests]);
    const listed: string[] = [];
    for await (const { digest } of blobsInUse(sorted)) listed.push(digest);
    expect(listed).toEqual(digests);
  });
});
