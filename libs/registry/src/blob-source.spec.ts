import { digestOf } from '#oci';
import { type Bytes, collect } from '#std';
import { describe, expect, it } from 'vitest';
import { BlobSource } from './blob-source.ts';

const bytes = Buffer.from('0123456789');
const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length };

function newSource(pieceBytes = 3): { readonly source: BlobSource; readonly opened: () => number } {
  let opened = 0;
  const open = async function* (): Bytes {
    opened++;
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  };
  return { source: new BlobSource(open, descriptor), opened: () => opened };
}

const read = async (source: BlobSource, from: number, to: number): Promise<string> =>
  (await collect(source.slice(from, to), 100)).toString();

describe('a source', () => {
  it('is opened once for slices that follow each other, and anew for others', async () => {
    const { source, opened } = newSource();
    expect(await read(source, 0, 4)).toBe('0123');
    expect(await read(source, 4, 5)).toBe('4');
    expect(await read(source, 5, 10)).toBe('56789');
    expect(opened()).toBe(1);
    expect(await read(source, 7, 10)).toBe('789');
    expect(await read(source, 2, 3)).toBe('2');
    expect(opened()).toBe(3);
  });

  it('gives the right bytes after a slice that was left', async () => {
    const { source } = newSource(1);
    for await (const _ of source.slice(2, 8)) break;
    expect(await read(source, 2, 10)).toBe('23456789');
    expect(await read(source, 3, 6)).toBe('345');
  });

  it('gives the right bytes although a slice that was left still waits for its own', async () => {
    let release = (): void => {};
    const waiting = new Promise<void>((resolve) => (release = resolve));
    let opened = 0;
    const open = async function* (): Bytes {
      const mine = ++opened;
      yield bytes.subarray(0, 4);
      if (mine === 1) await waiting;
      yield bytes.subarray(4);
    };
    const source = new BlobSource(open, descriptor);
    expect(await read(source, 0, 4)).toBe('0123');
    const left = source.slice(4, 10)[Symbol.asyncIterator]();
    const pending = left.next();
    const returned = left.return?.();
    const next = read(source, 4, 10);
    release();
    expect(await next).toBe('456789');
    await Promise.all([pending, returned]);
    expect(await read(source, 0, 10)).toBe('0123456789');
  });

  it.each([9, 11])('fails when it is not as long as it should be: %s', async (size) => {
    const source = new BlobSource(() => newSource().source.slice(0, 10), { ...descriptor, size });
    await expect(read(source, 0, size)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await expect(read(source, size - 1, size)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  });
});
