import { type ContentStore, copyBlobs, openContentStore } from '#content';
import { type Clock, KilnError, kilnVersion, type Random, silentLogger } from '#std';
import {
  BuildLedger,
  type Database,
  type Finding,
  fingerprintOf,
  isEmptyDatabase,
  migrate,
  newestMigration,
  openDatabase,
  openRedis,
  settleRestored,
  voidClaims,
} from '#storage';
import type { CareConfig } from '../config.ts';
import { BackupFolder, type Manifest } from './backup-folder.ts';
import { restoreDatabase } from './postgres-tools.ts';
import { beyond } from './run-backup.ts';
import { type FsckReport, progressText, runFsck } from './run-fsck.ts';

export interface RestoreRun {
  readonly config: CareConfig;
  readonly source: string;
  /** that Postgres' programs are found by */
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onProgress: (text: () => string) => void;
  readonly onFinding: (finding: Finding) => void;
}

export interface RestoreReport {
  readonly createdAt: string;
  readonly blobs: number;
  readonly bytes: number;
  /** that the backup has lost, or holds damaged */
  readonly damaged: number;
  /** builds that were in work and are in the queue again */
  readonly givenBack: number;
  readonly migrated: readonly string[];
  readonly fsck: FsckReport;
}

const CONNECTIONS = 4;

/**
 * Brings a backup back, into a farm of which there is nothing: blobs first, each verified, then the database in one
 * transaction. Begun again after it broke off, it goes on with what has come.
 * @throws KilnError CONFLICT when there is no whole backup, or this is no place for it; nothing is written then
 */
export async function runRestore(options: RestoreRun): Promise<RestoreReport> {
  const { config, source, clock, random, signal, path } = options;
  const folder = new BackupFolder(source, random);
  const manifest = await folder.wholeManifest();
  checkFits(manifest, config);
  for (const file of [manifest.database, manifest.list]) await folder.verify(file);
  await using db = openDatabase({ url: config.KILN_DATABASE_URL, max: CONNECTIONS });
  const store = await openContentStore(config.KILN_OBJECT_STORE, { random, clock });
  await checkEmpty({ db, store, folder, manifest, signal });
  const { blobs, bytes, absent } = await restoreBlobs(folder, { ...options, store, list: manifest.list.name });
  options.onProgress(() => 'restoring the database');
  await restoreDatabase(folder.pathOf(manifest.database.name), voidClaims, {
    ...{ url: config.KILN_DATABASE_URL, path, signal },
  });
  const migrated = await migrate(db);
  await using redis = openRedis({ url: config.KILN_REDIS_URL });
  const ledger = new BuildLedger({ db, redis, clock, logger: silentLogger });
  const passedMs = clock.nowMs() - Date.parse(manifest.createdAt);
  const givenBack = await settleRestored({ db, ledger, passedMs });
  const fsck = await runFsck({
    ...{ config, clock, random, signal, deep: false, repair: true, graceMs: 0, onFinding: options.onFinding },
    onProgress: (now) => options.onProgress(() => `checking: ${progressText(now)}`),
  });
  const damaged = Math.max(0, absent - manifest.elsewhere);
  return { createdAt: manifest.createdAt, blobs, bytes, damaged, givenBack, migrated, fsck };
}

function checkFits({ migration, version, keyFingerprint }: Manifest, { KILN_SECRET_KEY: key }: CareConfig): void {
  if (migration > newestMigration())
    throw new KilnError('CONFLICT', `the backup is of Kiln ${version}, whose schema ${kilnVersion()} does not know`, {
      hint: 'restore it with that version, or a newer one',
    });
  if (keyFingerprint !== fingerprintOf(Buffer.from(key, 'hex')))
    throw new KilnError('CONFLICT', 'the backup was made with another KILN_SECRET_KEY', {
      hint: 'set KILN_SECRET_KEY to the key of that farm (for an embedded farm secretKey in its identity.json, and a new data directory)',
    });
}

interface Place {
  readonly db: Database;
  readonly store: ContentStore;
  readonly folder: BackupFolder;
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
}

/** Nothing of another farm is in the database or the store; what this restore has brought before it broke off may be. */
async function checkEmpty({ db, store, folder, manifest, signal }: Place): Promise<void> {
  if (!(await isEmptyDatabase(db)))
    throw new KilnError('CONFLICT', 'the database is not empty', {
      hint: 'make a new database, or a new data directory of an embedded farm, and name that one',
    });
  for await (const digest of beyond(store.list(signal), folder.readList(manifest.list.name)))
    throw new KilnError('CONFLICT', `the object store has blobs that are none of the backup, such as ${digest}`, {
      hint: 'name an empty folder, or another prefix of the bucket, in KILN_OBJECT_STORE',
    });
}

interface Restoring extends RestoreRun {
  readonly store: ContentStore;
  readonly list: string;
}

async function restoreBlobs(folder: BackupFolder, { store, list, signal, onProgress }: Restoring) {
  let absent = 0;
  const copied = await copyBlobs(folder.readList(list), {
    from: folder.content,
    to: store,
    onLost: async (digests) => void (absent += digests.length),
    onProgress: ({ blobs }) => onProgress(() => `${blobs} blobs`),
    signal,
  });
  return { ...copied, absent };
}
