import { digestOf } from '#oci';
import { FetchedSources } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStorage, type Storage } from './farm.ts';

let storage: Storage;
let mine: FetchedSources;
let theirs: FetchedSources;
beforeAll(async () => {
  storage = await startStorage();
  const { projectId } = await storage.projects.ensure('mine', 'main');
  mine = new FetchedSources(storage.db, projectId);
  theirs = new FetchedSources(storage.db, (await storage.projects.ensure('theirs', 'main')).projectId);
});
afterAll(() => storage[Symbol.asyncDispose]());

const file = {
  digest: digestOf('x'),
  sizeBytes: 5_000_000_000,
  mtime: 1_600_000_000,
  etag: '"e"',
  lastModified: 'then',
};

describe('what was fetched', () => {
  it('is known by its URL and by its digest, to its project alone', async () => {
    const url = 'https://me:secret@host/x';
    expect(await mine.file(url)).toBeNull();
    await mine.keepFile(url, file);
    expect(await mine.file(url)).toEqual(file);
    expect(await mine.fileOf(file.digest)).toEqual(file);
    expect(await mine.file('https://host/x')).toBeNull();
    expect(await theirs.file(url)).toBeNull();
    expect(await theirs.fileOf(file.digest)).toBeNull();
    expect(await storage.db.execute("SELECT 1 FROM fetched_files f WHERE f::text LIKE '%secret%'")).toBe(0);
  });

  it('is replaced by what came later', async () => {
    const later = { digest: digestOf('y'), sizeBytes: 1, mtime: 0 };
    await mine.keepFile('https://host/y', file);
    await mine.keepFile('https://host/y', later);
    expect(await mine.file('https://host/y')).toEqual({ ...later, etag: undefined, lastModified: undefined });
  });

  it('is known as a tree', async () => {
    const key = digestOf('key');
    expect(await mine.tree(key)).toBeNull();
    await mine.keepTree(key, digestOf('one'));
    await mine.keepTree(key, digestOf('two'));
    expect(await mine.tree(key)).toBe(digestOf('two'));
    expect(await theirs.tree(key)).toBeNull();
  });
});
