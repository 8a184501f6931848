import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { chmod, mkdir, open, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf, hexOf } from '#oci';
import { type Bytes, single, systemRandom } from '#std';
import { afterEach, describe, expect, it } from 'vitest';
import { contentStoreContract } from './content.contract.ts';
import { FolderContentStore } from './folder-store.ts';

const folders: string[] = [];
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-content-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const pathIn = (root: string, digest: Digest): string => join(root, 'sha256', hexOf(digest).slice(0, 2), hexOf(digest));

async function damageFile(path: string): Promise<void> {
  await chmod(path, 0o600);
  const file = await open(path, 'r+');
  const { size } = await file.stat();
  await file.write(Buffer.of(0), 0, 1, size - 1);
  await file.close();
}

for (const durable of [false, true]) {
  contentStoreContract(`FolderContentStore (durable: ${String(durable)})`, async () => {
    const root = makeFolder();
    return {
      store: new FolderContentStore({ root, random: systemRandom, durable }),
      damage: (digest) => damageFile(pathIn(root, digest)),
    };
  });
}

async function* zeros(count: number): Bytes {
  const chunk = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < count; index++) yield chunk;
}

describe('FolderContentStore', () => {
  it('keeps a blob under its digest, and nothing else', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    const { digest } = await store.put(single('hello'));
    expect(readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length).toBe(
      1,
    );
    expect((await stat(pathIn(root, digest))).size).toBe(5);
  });

  it('leaves no temporary file when a put fails', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    await expect(store.put(zeros(3), digestOf('other'))).rejects.toThrow(/expected/);
    const abort = new AbortController();
    const source = async function* (): Bytes {
      yield* zeros(3);
      abort.abort();
      yield* zeros(3);
    };
    await expect(store.put(source(), undefined, abort.signal)).rejects.toThrow();
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('sweeps what a killed writer left, and no blob', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    expect(await store.sweepTemporary(Date.now())).toBe(0);
    const { digest } = await store.put(single('kept'));
    await mkdir(join(root, 'tmp'), { recursive: true });
    await writeFile(join(root, 'tmp', 'half'), 'written');
    // Somebody may still be writing what is young.
    expect(await store.sweepTemporary(Date.now() - 60_000)).toBe(0);
    expect(await store.sweepTemporary(Date.now() + 60_000)).toBe(1);
    expect(await store.findMissing(new Set([digest]))).toEqual(new Set());
  });

  it('repairs a blob that a loss of power cut short', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    const { digest } = await store.put(single('whole'));
    await writeFile(pathIn(root, digest), '');
    await store.put(single('whole'));
    expect((await stat(pathIn(root, digest))).size).toBe(5);
  });

  it('does not take away a blob that was repaired while a damaged one was read', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    const { digest } = await store.put(zeros(2));
    const file = await open(pathIn(root, digest), 'r+');
    await file.write(Buffer.of(1), 0, 1, 0);
    await file.close();
    const reading = store.get(digest)[Symbol.asyncIterator]();
    await reading.next();
    await store.put(zeros(2), digest);
    await expect(
      (async () => {
        while ((await reading.next()).done !== true);
      })(),
    ).rejects.toThrow(expect.objectContaining({ code: 'BLOB_CORRUPT' }));
    expect(await store.findMissing(new Set([digest]))).toEqual(new Set());
  });

  it('streams: 256 MiB pass through in little memory', async () => {
    const root = makeFolder();
    const store = new FolderContentStore({ root, random: systemRandom });
    const hash = createHash('sha256');
    for await (const chunk of zeros(256)) hash.update(chunk);
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 10);
    const { digest, sizeBytes } = await store.put(zeros(256));
    for await (const chunk of store.get(digest)) expect(chunk.byteLength).toBeLessThanOrEqual(256 * 1024);
    clearInterval(watch);
    expect(hexOf(digest)).toBe(hash.digest('hex'));
    expect(sizeBytes).toBe(256 * 1024 * 1024);
    expect(peak - before).toBeLessThan(128 * 1024 * 1024);
  });
});
