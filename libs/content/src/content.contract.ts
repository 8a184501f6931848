import { Readable } from 'node:stream';
import { type Digest, digestOf, Hasher } from '#oci';
import { type Bytes, collect, single } from '#std';
import { describe, expect, it } from 'vitest';
import type { BlobInfo, ContentStore } from './store.ts';

/** A store under test. `damage` changes a byte of a blob behind the store's back. */
export interface Subject {
  readonly store: ContentStore;
  readonly damage: (digest: Digest) => Promise<void>;
}

const all = (source: Bytes): Promise<Buffer> => collect(source, 64 * 1024 * 1024);
const rejectsWith = (code: string): unknown => expect.objectContaining({ code });

/** `count` chunks of 64 KiB, each different, and what they weigh. */
async function* manyChunks(count: number, onChunk: () => void = () => {}): Bytes {
  for (let index = 0; index < count; index++) {
    onChunk();
    yield Buffer.alloc(65_536, `${index} `);
  }
}

async function* failing(chunks: number): Bytes {
  yield* manyChunks(chunks);
  throw new Error('the client went away');
}

async function digestOfAll(source: Bytes): Promise<Digest> {
  const hasher = new Hasher();
  for await (const chunk of source) hasher.update(chunk);
  return hasher.digest();
}

/** What every {@link ContentStore} keeps. */
export function contentStoreContract(name: string, make: () => Promise<Subject>): void {
  describe(`${name} keeps the contract of a content store`, () => {
    it.each([
      ['empty', 0],
      ['small', 11],
      ['just small', 65_536],
      ['just large', 65_537],
      ['large', 3_000_000],
    ])('gives back what was put: %s', async (_, size) => {
      const { store } = await make();
      const bytes = Buffer.alloc(size, 'kiln ');
      const info = await store.put(single(bytes));
      expect(info).toEqual({ digest: digestOf(bytes), sizeBytes: size });
      expect((await all(store.get(info.digest))).equals(bytes)).toBe(true);
      expect(await store.put(single(bytes), info.digest)).toEqual(info);
      expect((await all(store.get(info.digest))).equals(bytes)).toBe(true);
    });

    it('says which blobs are missing, and BLOB_MISSING', async () => {
      const { store } = await make();
      const { digest } = await store.put(single('here'));
      const gone = digestOf('gone');
      expect(await store.findMissing(new Set([digest, gone]))).toEqual(new Set([gone]));
      await expect(all(store.get(gone))).rejects.toThrow(rejectsWith('BLOB_MISSING'));
    });

    it('lists every blob with its size and age, in their order', async () => {
      const { store } = await make();
      const listed: BlobInfo[] = [];
      for await (const info of store.list()) listed.push(info);
      expect(listed).toEqual([]);
      const put = await Promise.all(['a', 'bb', 'ccc'].map((text) => store.put(single(text))));
      put.push(await store.put(manyChunks(3)));
      await store.remove(new Set([digestOf('bb')]));
      for await (const { modifiedMs, ...info } of store.list()) {
        expect(Math.abs(modifiedMs - Date.now())).toBeLessThan(300_000);
        listed.push(info);
      }
      const byDigest = (a: BlobInfo, b: BlobInfo): number => (a.digest < b.digest ? -1 : 1);
      expect(listed).toEqual(put.filter(({ sizeBytes }) => sizeBytes !== 2).toSorted(byDigest));
    });

    it('removes, also what is not there', async () => {
      const { store } = await make();
      const { digest } = await store.put(single('here'));
      await store.remove(new Set([digest, digestOf('gone')]));
      expect(await store.findMissing(new Set([digest]))).toEqual(new Set([digest]));
      await expect(all(store.get(digest))).rejects.toThrow(rejectsWith('BLOB_MISSING'));
    });

    it.each([
      ['small', 0],
      ['large', 3],
    ])('stores nothing when a %s stream is not what was expected', async (_, chunks) => {
      const { store } = await make();
      const found = await digestOfAll(manyChunks(chunks));
      const expected = digestOf('something else');
      await expect(store.put(manyChunks(chunks), expected)).rejects.toThrow(rejectsWith('BLOB_CORRUPT'));
      expect(await store.findMissing(new Set([expected, found]))).toEqual(new Set([expected, found]));
    });

    it.each([0, 1, 3])('stores nothing of a source that fails after %i chunks', async (chunks) => {
      const { store } = await make();
      const begun = await digestOfAll(manyChunks(chunks));
      await expect(store.put(failing(chunks))).rejects.toThrow('the client went away');
      expect(await store.findMissing(new Set([begun]))).toEqual(new Set([begun]));
    });

    it('stops a put that is aborted, ends its source, and stores nothing', async () => {
      const { store } = await make();
      const abort = new AbortController();
      let ended = false;
      let seen = 0;
      const source = async function* (): Bytes {
        try {
          yield* manyChunks(1000, () => {
            if (++seen === 5) abort.abort(new Error('cancelled'));
          });
        } finally {
          ended = true;
        }
      };
      await expect(store.put(source(), undefined, abort.signal)).rejects.toThrow('cancelled');
      expect(ended).toBe(true);
      expect(seen).toBeLessThan(10);
      await expect(all(store.get(digestOf('x'), abort.signal))).rejects.toThrow('cancelled');
    });

    it('frees its source, also where it does not read it', async () => {
      const { store } = await make();
      const source = (): Readable => Readable.from([Buffer.from('here')], { objectMode: false });
      const first = source();
      const { digest } = await store.put(first);
      const again = source();
      await store.put(again, digest);
      const late = source();
      await expect(store.put(late, undefined, AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled');
      expect([first, again, late].map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
    });

    it('takes the same blob from many at once', async () => {
      const { store } = await make();
      const digest = await digestOfAll(manyChunks(4));
      const infos = await Promise.all(Array.from({ length: 8 }, () => store.put(manyChunks(4), digest)));
      expect(new Set(infos.map((info) => info.digest))).toEqual(new Set([digest]));
      expect(await digestOfAll(store.get(digest))).toBe(digest);
    });

    it.each([
      ['small', 1],
      ['large', 40],
    ])('fails at the end of a damaged %s blob, removes it, and takes it anew', async (_, chunks) => {
      const { store, damage } = await make();
      const { digest } = await store.put(manyChunks(chunks));
      await damage(digest);
      await expect(digestOfAll(store.get(digest))).rejects.toThrow(rejectsWith('BLOB_CORRUPT'));
      expect(await store.findMissing(new Set([digest]))).toEqual(new Set([digest]));
      await store.put(manyChunks(chunks), digest);
      expect(await digestOfAll(store.get(digest))).toBe(digest);
    });

    it('lets a reader leave early', async () => {
      const { store } = await make();
      const { digest } = await store.put(manyChunks(40));
      for await (const chunk of store.get(digest)) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
      expect(await digestOfAll(store.get(digest))).toBe(digest);
    });
  });
}
