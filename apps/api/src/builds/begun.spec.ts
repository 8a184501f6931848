import { describe, expect, it } from 'vitest';
import type { Bytes } from '#std';
import { begun } from './begun.ts';
import { readable } from './readable.ts';

function source(parts: readonly string[], failure?: Error): { readonly bytes: Bytes; readonly freed: () => boolean } {
  let freed = false;
  const bytes = async function* (): Bytes {
    try {
      for (const part of parts) yield Buffer.from(part);
      if (failure !== undefined) throw failure;
    } finally {
      freed = true;
    }
  };
  return { bytes: bytes(), freed: () => freed };
}

describe('a stream that has begun', () => {
  it('gives what its source gives, and frees it', async () => {
    const { bytes, freed } = source(['a', 'b', 'c']);
    const got: string[] = [];
    for await (const chunk of await begun(bytes)) got.push(Buffer.from(chunk).toString());
    expect([got, freed()]).toEqual([['a', 'b', 'c'], true]);
  });

  it('holds back the last bytes of a source that fails at its end', async () => {
    const { bytes } = source(['a', 'b'], new Error('damaged'));
    const got: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of await begun(bytes)) got.push(Buffer.from(chunk).toString());
    };
    await expect(reading()).rejects.toThrow('damaged');
    expect(got).toEqual(['a']);
  });

  it('frees its source when nobody has read from it', async () => {
    const { bytes, freed } = source(['a', 'b']);
    const stream = readable(await begun(bytes));
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(freed()).toBe(true);
  });

  it('frees its source when it is given up in the middle', async () => {
    const { bytes, freed } = source(['a', 'b', 'c']);
    for await (const _ of await begun(bytes)) break;
    expect(freed()).toBe(true);
  });
});
