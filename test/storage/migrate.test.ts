import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderContentStore } from '#content';
import { digestOf, hexOf } from '#oci';
import {
  BlobIndex,
  blobsInUse,
  checkSchema,
  type Database,
  migrate,
  migrations,
  openDatabase,
  ProjectStore,
  TokenStore,
  withSnapshot,
} from '#storage';
import { isKilnError, single, systemRandom } from '#std';
import { startPostgres, startRedis, type TestService } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Manifest } from '../../apps/api/src/care/backup-folder.ts';
import { dumpDatabase } from '../../apps/api/src/care/postgres-tools.ts';
import { runAdmin } from './admin-program.ts';

/** Migrations that the older version did not have. */
const BEHIND = 3;

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

describe('a backup', () => {
  const blobs = ['aa', 'ab', 'b0', 'f'].map((begin) => beginningWith(begin));
  const listOf = async (of: Database): Promise<readonly string[]> => {
    const digests: string[] = [];
    for await (const { digest } of blobsInUse(of)) digests.push(digest);
    return digests;
  };

  it('is of an older schema, and restored where the database sorts digests as people sort words', async () => {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await startRedis());
    const dir = await mkdtemp(join(tmpdir(), 'kiln-older-'));
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    const at = (name: string): string => Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href;
    const danish = async (name: string): Promise<Database> => {
      await db.execute(`CREATE DATABASE ${name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'da'`);
      return stack.use(openDatabase({ url: at(name), max: 2 }));
    };
    const admin = async (command: string, name: string): Promise<string> => {
      const { code, stdout, stderr } = await runAdmin([command, join(dir, 'backup')], {
        ...{ PATH: process.env['PATH'] ?? '', KILN_SECRET_KEY: 'ab'.repeat(32) },
        ...{ KILN_DATABASE_URL: at(name), KILN_REDIS_URL: redis.url, KILN_OBJECT_STORE: join(dir, name) },
      });
      expect(code, stderr).toBe(0);
      return stdout;
    };
    const fill = async (into: Database): Promise<void> => {
      const { projectId } = await new ProjectStore(into).ensure('web', 'main');
      const given = blobs.map((bytes) => ({ digest: digestOf(bytes), sizeBytes: bytes.byteLength }));
      await new BlobIndex(into).grant(projectId, given);
    };
    const source = await danish('source');
    await migrate(source);
    await fill(source);
    const store = new FolderContentStore({ root: join(dir, 'source'), random: systemRandom });
    for (const bytes of blobs) await store.put(single(bytes));
    expect(await listOf(source)).toEqual(blobs.map((bytes) => digestOf(bytes)));
    expect(await admin('backup', 'source')).toContain('4 blobs');

    // As an older version would have written it, of the same blobs.
    const older = await danish('older');
    const steps = migrations.slice(0, -BEHIND);
    await migrate(older, steps);
    await fill(older);
    const path = join(dir, 'backup/manifest.json');
    const manifest = Manifest.parse(JSON.parse(await readFile(path, 'utf8')));
    const dump = join(dir, 'backup', manifest.database.name);
    const tools = { url: at('older'), path: process.env['PATH'] ?? '', signal: AbortSignal.timeout(60_000) };
    await withSnapshot(older, (_, snapshot) => dumpDatabase(dump, snapshot, tools));
    const bytes = await readFile(dump);
    const file = { name: manifest.database.name, sizeBytes: bytes.byteLength, digest: digestOf(bytes) };
    await writeFile(path, JSON.stringify({ ...manifest, migration: steps.at(-1)?.number, database: file }));
    const again = await danish('again');
    expect(await admin('restore', 'again')).toMatch(/fsck: 4 blobs: all is well/);
    await checkSchema(again);
    expect(await listOf(again)).toEqual(await listOf(source));
    expect(await admin('backup', 'again')).toContain('0 of them new');
  });
});

/** A blob of which the digest begins so: in Danish aa comes after z. */
function beginningWith(begin: string): Buffer {
  for (let n = 0; ; n++) {
    const bytes = Buffer.from(`blob ${n}`);
    if (hexOf(digestOf(bytes)).startsWith(begin)) return bytes;
  }
}
