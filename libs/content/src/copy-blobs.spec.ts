import { type Digest, digestOf } from '#oci';
import { single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { copyBlobs } from './copy-blobs.ts';

async function* listed(...texts: readonly string[]) {
  for (const text of texts) yield { digest: digestOf(text), sizeBytes: text.length };
}

describe('copyBlobs', () => {
  it('brings what is not there, tells what is lost, and goes on', async () => {
    const [from, to] = [new MemoryContentStore(), new MemoryContentStore()];
    for (const text of ['here', 'there', 'damaged']) await from.put(single(text));
    from.damage(digestOf('damaged'));
    await to.put(single('there'));
    const lost: Digest[] = [];
    const copied = await copyBlobs(listed('here', 'there', 'damaged', 'gone'), {
      ...{ from, to, onProgress: () => undefined, signal: new AbortController().signal },
      onLost: async (digests) => void lost.push(...digests),
    });
    expect(copied).toEqual({ blobs: 2, bytes: 9, newBlobs: 1, newBytes: 4 });
    expect(new Set(lost)).toEqual(new Set([digestOf('damaged'), digestOf('gone')]));
    expect(new Set(to.digests())).toEqual(new Set([digestOf('here'), digestOf('there')]));
  });
});
