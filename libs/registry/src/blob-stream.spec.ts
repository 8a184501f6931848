import { digestOf } from '#oci';
import { collect } from '#std';
import { FaultRegistry, addSampleImage, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RegistryClient } from './registry-client.ts';

const LIMIT = 16 * 1024 * 1024;
const { layer, layerBytes } = sampleImage;
const ann = { username: 'ann', password: 'secret' };
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('fetching a blob', () => {
  const read = (client: RegistryClient) => collect(client.fetchBlob(app(), layer), LIMIT);
  const isBlob = ({ path }: { readonly path: string }): boolean => path.includes('/blobs/');

  it('goes on where a transfer broke', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(isBlob, (response) => {
      response.writeHead(200, { 'content-length': layer.size });
      response.write(layerBytes.subarray(0, 400_000), () => setTimeout(() => response.destroy(), 20));
    });
    expect(digestOf(await read(fixture.client()))).toBe(layer.digest);
    const [, again] = server.requests;
    expect(Number(/^bytes=(\d+)-$/.exec(again?.headers.range ?? '')?.[1])).toBeGreaterThan(0);
  });

  it('goes on at a registry that knows no ranges', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(isBlob, (response) => {
      response.writeHead(200, { 'content-length': layer.size });
      response.write(layerBytes.subarray(0, 400_000), () => setTimeout(() => response.destroy(), 20));
    });
    server.fault(isBlob, (response) => response.end(layerBytes));
    expect(digestOf(await read(fixture.client()))).toBe(layer.digest);
  });

  it('goes on where an answer ends too early, whatever length it gave', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(isBlob, (response) => response.end(layerBytes.subarray(0, 300_000)));
    server.fault(isBlob, (response) => {
      response.writeHead(206, { 'content-range': `bytes 300000-499999/${layer.size}`, 'content-length': 200_000 });
      response.end(layerBytes.subarray(300_000, 500_000));
    });
    expect(digestOf(await read(fixture.client()))).toBe(layer.digest);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=300000-', 'bytes=500000-']);
  });

  it('takes no other part for the one that it asked for', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(isBlob, (response) => response.end(layerBytes.subarray(0, 300_000)));
    server.fault(isBlob, (response) => {
      response.writeHead(206, { 'content-range': `bytes 0-${layer.size - 1}/${layer.size}` }).end(layerBytes);
    });
    expect(digestOf(await read(fixture.client()))).toBe(layer.digest);
  });

  it('fails where the registry has less than it says', async () => {
    const { server } = fixture;
    server.fault(isBlob, (response) => response.end(layerBytes.subarray(0, 300_000)));
    server.fault(isBlob, (response) => response.writeHead(416).end(), 99);
    await expect(read(fixture.client())).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
  });

  it('gives up on a transfer that keeps breaking', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(
      isBlob,
      (response) => {
        response.writeHead(200, { 'content-length': layer.size });
        response.write('l', () => setTimeout(() => response.destroy(), 5));
      },
      100,
    );
    await expect(read(fixture.client())).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(server.requests.length).toBeLessThan(10);
  });

  it.each([
    ['other bytes of the same length', Buffer.alloc(layer.size, 'x')],
    ['too many bytes', Buffer.concat([layerBytes, Buffer.from('more')])],
  ])('fails on %s', async (_, bytes) => {
    const { server } = fixture;
    server.fault(isBlob, (response) => response.end(bytes), 100);
    await expect(read(fixture.client())).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining(`other bytes than those of ${layer.digest}`) as string,
    });
  });

  it.each([
    { kind: 'basic', ...ann },
    { kind: 'bearer', user: ann },
  ] as const)('follows redirects without telling other hosts who it is ($kind)', async (auth) => {
    const { server } = fixture;
    addSampleImage(server);
    server.auth = auth;
    await using storage = await FaultRegistry.start();
    storage.addBlob('acme/app', layerBytes);
    const to = `${storage.url}/v2/acme/app/blobs/${layer.digest}?signature=x`;
    server.fault(
      ({ path, headers }) => isBlob({ path }) && headers.authorization !== undefined,
      (response) => response.writeHead(307, { location: to }).end(),
      99,
    );
    storage.fault(isBlob, (response) => response.end(layerBytes.subarray(0, 300_000)));
    expect(digestOf(await read(fixture.client({ auth: ann })))).toBe(layer.digest);
    const told = storage.requests.map(({ headers: { authorization, range } }) => ({ authorization, range }));
    expect(told).toEqual([
      { authorization: undefined, range: undefined },
      { authorization: undefined, range: 'bytes=300000-' },
    ]);
  });

  it('closes the connection when the reader leaves', async () => {
    const { server } = fixture;
    let closed = false;
    server.fault(isBlob, (response) => {
      response.writeHead(200, { 'content-length': layer.size }).write('l');
      response.on('close', () => (closed = true));
    });
    for await (const _ of fixture.client().fetchBlob(app(), layer)) break;
    await expect.poll(() => closed).toBe(true);
  });
});
