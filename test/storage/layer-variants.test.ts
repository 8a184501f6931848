import { digestOf, mediaType } from '#oci';
import { LayerVariantStore } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBuild, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const key = digestOf('key');
const variant = (name: string) => ({
  descriptor: { mediaType: mediaType.ociLayerZstd, digest: digestOf(name), size: 2 ** 40 },
  diffId: digestOf('tar'),
});

describe('LayerVariantStore', () => {
  it('finds what a project has saved, the newest, and nothing of others', async () => {
    const own = new LayerVariantStore(storage.db, await claimBuild(storage));
    expect((await own.findVariants([key])).size).toBe(0);
    await own.saveVariant(key, variant('one'));
    await own.saveVariant(key, variant('two'));
    expect(await own.findVariants([key, digestOf('other')])).toEqual(new Map([[key, variant('two')]]));
    const foreign = new LayerVariantStore(storage.db, await claimBuild(storage, 'one', 'foreign'));
    expect((await foreign.findVariants([key])).size).toBe(0);
  });

  it('takes nothing from a build that is held by somebody else', async () => {
    const claim = await claimBuild(storage);
    const store = new LayerVariantStore(storage.db, { ...claim, fence: claim.fence + 1 });
    await expect(store.saveVariant(key, variant('late'))).rejects.toMatchObject({ code: 'FENCED' });
  });
});
