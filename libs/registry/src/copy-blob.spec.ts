import { collect, KilnError } from '#std';
import { addSampleImage, type FaultRegistry, MemoryContentStore, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mirror } from './options.ts';

const { layer, layerBytes } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });
const garbled = Buffer.alloc(layer.size, 'x');
const isBlob = ({ path }: { readonly path: string }): boolean => path.includes('/blobs/');

let fixture: RegistryFixture;
let store: MemoryContentStore;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
  store = new MemoryContentStore();
  addSampleImage(fixture.server);
});
afterEach(() => fixture[Symbol.asyncDispose]());

const stored = async (): Promise<boolean> => (await collect(store.get(layer.digest), layer.size)).equals(layerBytes);
const absent = async (): Promise<boolean> => (await store.findMissing(new Set([layer.digest]))).has(layer.digest);
const mirrorAt = (at: FaultRegistry): Mirror => ({ for: fixture.server.host, url: at.url, mode: 'mirror' });

describe('a layer that is damaged on its way', () => {
  it('is fetched anew', async () => {
    const { server } = fixture;
    server.fault(isBlob, (response) => response.end(garbled));
    server.fault(isBlob, (response) => response.end(Buffer.concat([layerBytes, garbled])));
    let arrived = 0;
    await fixture.client().copyBlob(app(), layer, { into: store, onBytes: (bytes) => (arrived += bytes) });
    expect(await stored()).toBe(true);
    expect(arrived).toBeGreaterThan(layer.size);
  });

  it('is fetched from the registry where its mirror garbles it', async () => {
    const { server, other } = fixture;
    other.fault(isBlob, (response) => response.end(garbled), 99);
    const client = fixture.client({ mirrors: [mirrorAt(other)] });
    await client.copyBlob(app(), layer, { into: store });
    expect([await stored(), other.requests.length, server.requests.length]).toEqual([true, 1, 1]);
  });

  it('is fetched without the mirror that gave but a wrong beginning of it', async () => {
    const { other } = fixture;
    other.fault(
      isBlob,
      (response) => {
        response.writeHead(200, { 'content-length': layer.size });
        response.write(garbled.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 20));
      },
      99,
    );
    await fixture.client({ mirrors: [mirrorAt(other)] }).copyBlob(app(), layer, { into: store });
    expect([await stored(), other.requests.length]).toEqual([true, 1]);
  });

  it('is in no store when it stays so, and it is said where it came from', async () => {
    const { server } = fixture;
    server.fault(isBlob, (response) => response.end(garbled), 99);
    await expect(fixture.client().copyBlob(app(), layer, { into: store })).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: `${server.host} sent other bytes than those of ${layer.digest}, for acme/app`,
      hint: expect.stringContaining('damaged') as string,
    });
    expect([await absent(), server.requests.length]).toEqual([true, 3]);
  });

  it('is in no store when all that comes of it is a part', async () => {
    fixture.server.fault(isBlob, (response) => response.end(layerBytes.subarray(0, 10)), 99);
    await expect(fixture.client().copyBlob(app(), layer, { into: store })).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
    });
    expect(await absent()).toBe(true);
  });
});

it('fails as its store, once', async () => {
  const full = new KilnError('UPSTREAM_UNAVAILABLE', 'full');
  store.put = async (source) => {
    for await (const _ of source) throw full;
    throw full;
  };
  await expect(fixture.client().copyBlob(app(), layer, { into: store })).rejects.toBe(full);
  expect(fixture.server.requests).toHaveLength(1);
});
