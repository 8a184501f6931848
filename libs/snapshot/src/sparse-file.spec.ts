import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { digestOf } from '#oci';
import type { Bytes } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSparseFile } from './sparse-file.ts';
import { writeFileFrom } from './write-file.ts';

const BLOCK = 64 * 1024;

async function* of(...chunks: readonly Uint8Array[]): Bytes {
  yield* chunks;
}

describe('files with holes', () => {
  let dir: string;
  beforeAll(async () => {
    // A temporary file system in memory has holes too, but counts them otherwise.
    dir = await mkdtemp('/var/tmp/kiln-sparse-');
  });
  afterAll(() => rm(dir, { recursive: true }));

  it.each([
    ['as files are copied', writeSparseFile],
    ['as layers are unpacked', writeFileFrom],
  ])('take room for what is not zero, %s', async (name, write) => {
    const path = join(dir, name);
    const hole = Buffer.alloc(16 * BLOCK);
    await write(of(hole, Buffer.from('text'), hole, hole), path);
    const { size, blocks } = await stat(path);
    expect(size).toBe(48 * BLOCK + 4);
    expect(blocks * 512).toBeLessThan(4 * BLOCK);
    expect((await readFile(path)).indexOf('text')).toBe(16 * BLOCK);
  });

  it('hold the bytes of their stream, however it is cut', async () => {
    const chunk = fc.tuple(fc.nat(3 * BLOCK), fc.constantFrom(0, 1), fc.nat(3 * BLOCK)).map(([size, byte, at]) => {
      const bytes = Buffer.alloc(size);
      if (at < size) bytes[at] = byte;
      return bytes;
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 4 }), async (chunks) => {
        const [a, b] = [join(dir, `a${++run}`), join(dir, `b${run}`)];
        const all = Buffer.concat(chunks);
        await writeSparseFile(of(...chunks), a);
        expect(await writeFileFrom(of(...chunks), b)).toBe(digestOf(all));
        for (const path of [a, b]) {
          expect((await readFile(path)).equals(all)).toBe(true);
          await rm(path);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('replace nothing, and follow no link', async () => {
    await symlink('nowhere', join(dir, 'link'));
    await expect(writeSparseFile(of(), join(dir, 'link'))).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
