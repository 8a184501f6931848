import { type BlobInfo, type ContentStore, type Copied, copyBlobs, openContentStore } from '#content';
import type { Digest } from '#oci';
import { type Clock, kilnVersion, type Random, randomId } from '#std';
import {
  blobsInUse,
  checkSchema,
  COLLECTOR_LOCK,
  type Database,
  fingerprintOf,
  type HeldLock,
  lostBlobs,
  newestMigration,
  openDatabase,
  withSnapshot,
} from '#storage';
import type { CareConfig } from '../config.ts';
import { BackupFolder, type Manifest } from './backup-folder.ts';
import { dumpDatabase } from './postgres-tools.ts';

export interface BackupRun {
  readonly config: CareConfig;
  readonly destination: string;
  /** that Postgres' programs are found by */
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onProgress: (text: () => string) => void;
  /** what the farm has lost */
  readonly onLost: (message: string) => void;
}

export interface BackupReport extends Manifest {
  readonly newBlobs: number;
  readonly newBytes: number;
}

const CONNECTIONS = 4;

/**
 * Copies a farm that works into a directory: the database as it is at one moment, and every blob that it needs then, which
 * nobody frees meanwhile. What an earlier run has brought stays; the backup counts once its manifest is there.
 * @throws KilnError CONFLICT when the directory is of something else
 */
export async function runBackup(options: BackupRun): Promise<BackupReport> {
  const { config, destination, random } = options;
  await using db = openDatabase({ url: config.KILN_DATABASE_URL, max: CONNECTIONS });
  await checkSchema(db);
  const folder = new BackupFolder(destination, random);
  await folder.claim(fingerprintOf(Buffer.from(config.KILN_SECRET_KEY, 'hex')));
  return await db.holding(COLLECTOR_LOCK, (held) => new Backup(options, db, folder).write(held));
}

class Backup {
  readonly #options: BackupRun;
  readonly #db: Database;
  readonly #folder: BackupFolder;
  #elsewhere = 0;
  #lost = 0;

  constructor(options: BackupRun, db: Database, folder: BackupFolder) {
    this.#options = options;
    this.#db = db;
    this.#folder = folder;
  }

  async write(held: HeldLock): Promise<BackupReport> {
    const { config, clock, random } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, held.lost]);
    const stamp = `${new Date(clock.nowMs()).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${randomId(random, 6)}`;
    const [dump, list] = [`database-${stamp}.dump`, `blobs-${stamp}.txt`];
    try {
      const createdAt = await this.#writeRows({ dump, list }, signal);
      const store = await openContentStore(config.KILN_OBJECT_STORE, { random, clock, leaveDamaged: true });
      const copied = await this.#copy(store, list, signal);
      // Whatever was freed since the lock was lost may be missing.
      await held.check();
      const manifest: Manifest = {
        format: 1,
        keyFingerprint: fingerprintOf(Buffer.from(config.KILN_SECRET_KEY, 'hex')),
        ...{ version: kilnVersion(), migration: newestMigration(), createdAt },
        finishedAt: new Date(clock.nowMs()).toISOString(),
        ...{ database: await this.#folder.look(dump), list: await this.#folder.look(list) },
        ...{ blobs: copied.blobs, bytes: copied.bytes, elsewhere: this.#elsewhere, lost: this.#lost },
      };
      await this.#folder.finish(manifest);
      await this.#sweep(list, signal);
      return { ...manifest, newBlobs: copied.newBlobs, newBytes: copied.newBytes };
    } catch (thrown) {
      if ((await this.#folder.manifest())?.database.name !== dump)
        for (const name of [dump, list]) await this.#folder.remove(name);
      throw thrown;
    }
  }

  /** The database, and the list of what it needs, of one moment. */
  async #writeRows(
    { dump, list }: { readonly dump: string; readonly list: string },
    signal: AbortSignal,
  ): Promise<string> {
    const { config, clock, path, onProgress } = this.#options;
    return await withSnapshot(this.#db, async (sql, snapshot) => {
      const createdAt = new Date(clock.nowMs()).toISOString();
      onProgress(() => 'dumping the database');
      await dumpDatabase(await this.#folder.create(dump), snapshot, { url: config.KILN_DATABASE_URL, path, signal });
      await this.#folder.writeList(list, blobsInUse(sql, signal));
      return createdAt;
    });
  }

  async #copy(store: ContentStore, list: string, signal: AbortSignal): Promise<Copied> {
    const { onProgress } = this.#options;
    return await copyBlobs(this.#folder.readList(list), {
      from: store,
      to: this.#folder.content,
      onLost: (digests) => this.#judge(store, digests, signal),
      onProgress: ({ blobs, newBlobs }) => onProgress(() => `${blobs} blobs, ${newBlobs} of them new`),
      signal,
    });
  }

  async #judge(content: ContentStore, digests: readonly Digest[], signal: AbortSignal): Promise<void> {
    const lost = await lostBlobs({ sql: this.#db, content, graceMs: 0, signal }, digests);
    for (const message of lost) this.#options.onLost(message);
    this.#lost += lost.length;
    this.#elsewhere += digests.length - lost.length;
  }

  /** What earlier backups had and this one has not. */
  async #sweep(list: string, signal: AbortSignal): Promise<void> {
    for await (const digest of beyond(this.#folder.content.list(signal), this.#folder.readList(list)))
      await this.#folder.content.remove(new Set([digest]));
    await this.#folder.content.sweepTemporary(this.#options.clock.nowMs());
  }
}

/** Digests of a sorted stream that are not in another one. */
export async function* beyond(all: AsyncIterable<BlobInfo>, known: AsyncIterable<BlobInfo>): AsyncIterable<Digest> {
  const rest = known[Symbol.asyncIterator]();
  try {
    let next = await rest.next();
    for await (const { digest } of all) {
      while (next.done !== true && next.value.digest < digest) next = await rest.next();
      if (next.done === true || next.value.digest !== digest) yield digest;
    }
  } finally {
    await rest.return?.();
  }
}
