import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#oci';
import { systemRandom } from '#std';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BackupFolder, type Manifest } from './backup-folder.ts';

let dir: string;
let folder: BackupFolder;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-backup-'));
  folder = new BackupFolder(dir, systemRandom);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const digest = digestOf('a file');
const file = (name: string): Manifest['list'] => ({ name, sizeBytes: 0, digest });
const manifest: Manifest = {
  ...{ format: 1, keyFingerprint: 'k', version: '1', migration: 1, blobs: 0, bytes: 0, elsewhere: 0, lost: 0 },
  ...{ createdAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:00:00Z' },
  ...{ database: file('database-2.dump'), list: file('blobs-2.txt') },
};

describe('a directory of backups', () => {
  it('is one whose first file a full disk cut short', async () => {
    await writeFile(join(dir, 'kiln-backup.json.new'), '{');
    await folder.claim('k');
    expect(await readdir(dir)).toEqual(['kiln-backup.json']);
  });

  it('loses what is of earlier backups, and nothing that others put there', async () => {
    await folder.claim('k');
    const own = ['database-1.dump', 'blobs-1.txt', 'manifest.json.new', 'database-2.dump', 'blobs-2.txt'];
    for (const name of [...own, 'README', 'database.dump.gpg']) await writeFile(join(dir, name), '');
    await folder.finish(manifest);
    expect((await readdir(dir)).toSorted()).toEqual([
      ...['README', 'blobs-2.txt', 'database-2.dump', 'database.dump.gpg', 'kiln-backup.json', 'manifest.json'],
    ]);
  });

  it.each(['other', 'kiln-backup.json.new.txt'])('is none that has %s in it', async (name) => {
    await writeFile(join(dir, name), '');
    await expect(folder.claim('k')).rejects.toThrow('has other files in it');
  });

  it('has files that none but their owner reads', async () => {
    expect((await stat(await folder.create('database-1.dump'))).mode & 0o077).toBe(0);
  });

  it('is no file', async () => {
    await writeFile(join(dir, 'file'), '');
    const claimed = new BackupFolder(join(dir, 'file'), systemRandom).claim('k');
    await expect(claimed).rejects.toThrow('is no directory');
  });
});
