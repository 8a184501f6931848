import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashContext, ingestTar } from '#context';
import { digestOf, hexOf } from '#oci';
import { collect, single } from '#std';
import { MemoryContentStore } from '#testing';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { compressed, readPack, type WantedFile } from './file-pack.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'kiln-pack-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function wantedOf(contents: readonly Uint8Array[]): Promise<readonly WantedFile[]> {
  for (const [index, bytes] of contents.entries()) writeFileSync(join(folder, `f${index}`), bytes);
  return [...(await hashContext(folder)).files].map(([digest, file]) => ({ digest, file }));
}

it('brings every file to the farm under its digest', async () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(contents, async (files) => {
      rmSync(folder, { recursive: true });
      folder = mkdtempSync(join(tmpdir(), 'kiln-pack-'));
      const pack = await compressed(readPack(await wantedOf(files)));
      const store = new MemoryContentStore();
      const limits = { maxFiles: 100, maxBytes: 1_000_000, maxPathBytes: 128 };
      const { digests, manifest } = await ingestTar(single(pack), store, limits);
      expect([...digests.keys()].toSorted()).toEqual([...new Set(files.map((each) => digestOf(each)))].toSorted());
      for (const { path, type, digest } of manifest.entries)
        if (type === 'file') expect(path).toBe(`sha256/${hexOf(digest ?? digestOf(''))}`);
      for (const each of files) expect(await collect(store.get(digestOf(each)), 10_000)).toEqual(Buffer.from(each));
    }),
    { numRuns: 20 },
  );
});

it('takes no file that is not what it was', async () => {
  const wanted = await wantedOf([Buffer.from('one'), Buffer.from('two')]);
  const changed = expect.objectContaining({ code: 'CONTEXT_INVALID' }) as unknown;
  // Whatever the times of a file say, its bytes are looked at.
  const swapped = wanted.map(({ digest }, index) => ({ digest, file: wanted[1 - index]?.file }) as WantedFile);
  expect(() => readPack(swapped)).toThrow(changed);
  writeFileSync(join(folder, 'f0'), 'longer');
  expect(() => readPack(wanted)).toThrow(changed);
  rmSync(join(folder, 'f0'));
  expect(() => readPack(wanted)).toThrow(changed);
});
