import { digestOf, parseReference } from '#oci';
import { collect, silentLogger, single, type Logger } from '#std';
import type { FaultRegistry } from '#testing';
import { addSampleImage, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mirror } from './options.ts';

const LIMIT = 16 * 1024 * 1024;
const { platform, layer, layerBytes } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });
const paths = (at: FaultRegistry): string[] => at.requests.map(({ method, path }) => `${method} ${path}`);

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('mirrors and stand-ins', () => {
  const debian = { registry: 'registry.test', repository: 'library/debian', tag: '12' };
  const nowhere = () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
  const here = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
  const at = (mirror: FaultRegistry, mode: Mirror['mode']): Mirror => ({ for: '*', url: mirror.url, mode });

  it('asks a mirror first, and the registry when it fails in any way', async () => {
    const { server, other } = fixture;
    addSampleImage(server);
    addSampleImage(other, 'mirrored/acme/app', '1');
    const mirrors: Mirror[] = [{ for: server.host, url: `${other.url}/mirrored`, mode: 'mirror' }];
    const client = fixture.client({ mirrors });
    await client.resolve(fixture.image, platform);
    expect(server.requests).toHaveLength(0);
    other.fault(
      () => true,
      (response) => response.writeHead(500).end(),
    );
    await client.resolve(fixture.image, platform);
    other.manifests.clear();
    await client.resolve(fixture.image, platform);
    expect(paths(server).filter((path) => path.includes('/manifests/'))).toHaveLength(2);
  });

  it('goes on at the registry with a blob that a mirror broke off', async () => {
    const { server, other } = fixture;
    addSampleImage(server);
    other.fault(
      () => true,
      (response) => {
        response.writeHead(200, { 'content-length': layer.size });
        response.write(layerBytes.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 20));
      },
      100,
    );
    const client = fixture.client({ mirrors: [{ for: server.host, url: other.url, mode: 'mirror' }] });
    expect(digestOf(await collect(client.fetchBlob(app(), layer), LIMIT))).toBe(layer.digest);
    expect(server.requests[0]?.headers.range).toMatch(/^bytes=[1-9]/);
  });

  it('asks no more of a mirror that sent wrong bytes', async () => {
    const { server, other } = fixture;
    addSampleImage(server);
    other.fault(
      () => true,
      (response) => response.end(Buffer.alloc(layer.size)),
      100,
    );
    const client = fixture.client({ mirrors: [{ for: server.host, url: other.url, mode: 'mirror' }] });
    await expect(collect(client.fetchBlob(app(), layer), LIMIT)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(digestOf(await collect(client.fetchBlob(app(), layer), LIMIT))).toBe(layer.digest);
  });

  it('uses a stand-in when the name does not resolve, says so, and remembers', async () => {
    const { other } = fixture;
    addSampleImage(other, 'library/debian', '12');
    let asked = 0;
    const lookup = () => {
      asked++;
      return nowhere();
    };
    const client = fixture.client({ mirrors: [at(other, 'stand-in')], lookup });
    expect((await client.resolve(debian, platform)).standIn).toBe(true);
    await client.resolve(debian, platform);
    expect(asked).toBe(1);
    fixture.clock.now += 10 * 60_000;
    await client.resolve(debian, platform);
    expect(asked).toBe(2);
  });

  it('uses a stand-in when the connection is refused', async () => {
    const { server, other } = fixture;
    addSampleImage(other);
    const reference = fixture.image;
    await server[Symbol.asyncDispose]();
    const found = await fixture.client({ mirrors: [at(other, 'stand-in')] }).resolve(reference, platform);
    expect(found.standIn).toBe(true);
    expect(fixture.clock.slept).toEqual([]);
  });

  it.each([401, 403, 404, 429, 500, 503])('uses no stand-in when the registry answers %s', async (status) => {
    const { server, other } = fixture;
    addSampleImage(other);
    server.fault(
      () => true,
      (response) => response.writeHead(status).end(),
      100,
    );
    const client = fixture.client({ mirrors: [at(other, 'stand-in')] });
    await expect(client.resolve(fixture.image, platform)).rejects.toThrow(server.host);
    expect(other.requests).toEqual([]);
  });

  it('uses no stand-in when the transfer breaks, nor when the token service is not there', async () => {
    const { server, other } = fixture;
    addSampleImage(other);
    const client = fixture.client({ mirrors: [at(other, 'stand-in')], lookup: nowhere });
    server.fault(
      () => true,
      (response) => response.destroy(),
      4,
    );
    await expect(client.resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    server.auth = { kind: 'bearer', realm: 'https://tokens.example/token' };
    await expect(client.resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(other.requests).toEqual([]);
  });

  it('uses no stand-in while a mirror is there, whatever it says', async () => {
    const { server, other } = fixture;
    addSampleImage(server, 'library/debian', '12');
    const mirrors = [at(server, 'stand-in'), { ...at(other, 'mirror'), for: 'registry.test' }];
    await expect(fixture.client({ mirrors, lookup: nowhere }).resolve(debian, platform)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    });
    expect(server.requests).toEqual([]);
  });

  it('says that there is no stand-in', async () => {
    const { other } = fixture;
    const client = fixture.client({ mirrors: [at(other, 'stand-in')], lookup: nowhere });
    await expect(client.resolve(debian, platform)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.not.stringContaining('for library/debian') as string,
      hint: expect.stringContaining('no stand-in for registry.test/library/debian') as string,
    });
    await expect(client.resolve(debian, platform)).rejects.toThrow('a moment ago, for library/debian');
  });

  it('reads the blobs of a stand-in from stand-ins, though the registry has come back', async () => {
    const { server, other } = fixture;
    addSampleImage(other);
    const client = fixture.client({ mirrors: [at(other, 'stand-in')] });
    const bytes = await collect(client.fetchBlob({ ...app(), standIn: true }, layer), LIMIT);
    expect(digestOf(bytes)).toBe(layer.digest);
    expect(server.requests).toEqual([]);
  });

  it('never writes to a mirror', async () => {
    const { server, other } = fixture;
    const client = fixture.client({ mirrors: [{ for: server.host, url: other.url, mode: 'mirror' }] });
    await client.pushBlob(app(), layer, () => single(layerBytes));
    expect(other.requests).toEqual([]);
  });

  it('tells its operator about a mirror that fails', async () => {
    const { server, other } = fixture;
    addSampleImage(server);
    const told: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (message) => told.push(message) };
    const mirrors = [{ for: server.host, url: other.url, mode: 'mirror' } as const];
    await fixture.client({ mirrors, logger }).resolve(fixture.image, platform);
    expect(told).toEqual([`the mirror ${other.host} failed`]);
  });

  it('refuses a name that leads to a private address, at each connection', async () => {
    const { server } = fixture;
    addSampleImage(server, 'library/debian', '12');
    const reference = parseReference(`registry.test:${server.port}/library/debian:12`);
    const plainHttp = ['registry.test'];
    const denied = fixture.client({ lookup: here, plainHttp, egress: { allow: [] } });
    await expect(denied.resolve(reference, platform)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      message: expect.stringContaining('private address') as string,
    });
    await expect(fixture.client({ egress: { allow: [] } }).resolve(fixture.image, platform)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
    const localhost = parseReference(`localhost:${server.port}/library/debian:12`);
    await expect(fixture.client({ egress: { allow: [] } }).resolve(localhost, platform)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
    expect(server.requests).toEqual([]);
    const allow = [`registry.test:${server.port}`];
    await fixture.client({ lookup: here, plainHttp, egress: { allow } }).resolve(reference, platform);
  });

  it('refuses a redirect to a private address, and lets no stand-in hide it', async () => {
    const { server, other } = fixture;
    addSampleImage(server);
    server.fault(
      ({ path }) => path.includes('/blobs/'),
      (response) => response.writeHead(307, { location: 'https://169.254.169.254/latest/meta-data' }).end(),
      10,
    );
    const client = fixture.client({ mirrors: [at(other, 'stand-in')], egress: { allow: [server.host] } });
    await expect(client.resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
    expect(other.requests).toEqual([]);
  });

  it('reaches a mirror at a private address, but nothing else there', async () => {
    const { other } = fixture;
    addSampleImage(other, 'library/debian', '12');
    const client = fixture.client({ mirrors: [at(other, 'stand-in')], lookup: nowhere, egress: { allow: [] } });
    await client.resolve(debian, platform);
    const direct = parseReference(`${other.host}/library/debian:12`);
    await expect(client.resolve(direct, platform)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });
});
