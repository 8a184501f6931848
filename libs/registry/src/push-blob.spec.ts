import { digestOf } from '#oci';
import { type Bytes, KilnError, single } from '#std';
import { RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { layer, layerBytes } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('pushing', () => {
  it.each([false, true])('uploads a blob once (absolute Location: %s)', async (absolute) => {
    const { server } = fixture;
    server.absoluteLocations = absolute;
    const client = fixture.client();
    expect(await client.pushBlob(app(), layer, () => single(layerBytes))).toBe('pushed');
    expect(server.requests.at(-1)?.path).toContain('_state=a%2Bb%3D&digest=sha256%3A');
    let opened = 0;
    const outcome = await client.pushBlob(app(), layer, () => {
      opened++;
      return single(layerBytes);
    });
    expect([outcome, opened]).toEqual(['exists', 0]);
  });

  it('mounts with a token for both repositories', async () => {
    const { server } = fixture;
    server.auth = { kind: 'bearer' };
    server.addBlob('acme/base', layerBytes);
    const client = fixture.client();
    const mountFrom = 'acme/base';
    expect(await client.pushBlob(app(), layer, () => single(layerBytes), { mountFrom })).toBe('mounted');
    expect(server.blobs.has(`acme/app@${layer.digest}`)).toBe(true);
  });

  it('uploads where it may not mount', async () => {
    const { server } = fixture;
    server.auth = { kind: 'bearer', withhold: ['repository:acme/base:pull'] };
    server.addBlob('acme/base', layerBytes);
    const outcome = await fixture.client().pushBlob(app(), layer, () => single(layerBytes), { mountFrom: 'acme/base' });
    expect(outcome).toBe('pushed');
  });

  it('begins a broken upload anew', async () => {
    const { server } = fixture;
    let opened = 0;
    server.fault(
      ({ method }) => method === 'PUT',
      (response) => response.destroy(),
    );
    server.fault(
      ({ method }) => method === 'PUT',
      (response) => response.writeHead(502).end(),
    );
    const outcome = await fixture.client().pushBlob(app(), layer, () => {
      opened++;
      return single(layerBytes);
    });
    expect([outcome, opened]).toEqual(['pushed', 3]);
    expect(server.blobs.get(`acme/app@${layer.digest}`)).toEqual(layerBytes);
  });

  it.each([new KilnError('BLOB_MISSING', 'gone'), new Error('disk on fire')])(
    'fails as its source: %s',
    async (gone) => {
      const { server } = fixture;
      const open = async function* () {
        yield layerBytes.subarray(0, 10);
        throw gone;
      };
      await expect(fixture.client().pushBlob(app(), layer, open)).rejects.toBe(gone);
      const short = fixture.client().pushBlob(app(), layer, () => single('short'));
      await expect(short).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
      expect(server.requests.filter(({ method }) => method === 'HEAD')).toHaveLength(2);
    },
  );

  it('says who refuses, and how to sign in', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'POST',
      (response) => response.writeHead(403).end(),
      10,
    );
    await expect(fixture.client().pushBlob(app(), layer, () => single(layerBytes))).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      hint: expect.stringContaining(`docker login ${server.host}`) as string,
    });
  });
});

describe('a large blob', () => {
  const bytes = Buffer.alloc(20_000_000, 'a large layer ');
  const large = { mediaType: layer.mediaType, digest: digestOf(bytes), size: bytes.length };
  const patches = () => fixture.server.requests.filter(({ method }) => method === 'PATCH');
  const ranges = () => patches().map(({ headers }) => headers['content-range']);
  const stored = () => fixture.server.blobs.get(`acme/app@${large.digest}`);
  /** In pieces that are no divisor of anything. */
  async function* source(): Bytes {
    for (let at = 0; at < bytes.length; at += 99_991) yield bytes.subarray(at, at + 99_991);
  }
  const push = (open = source) => fixture.client().pushBlob(app(), large, open);

  it('goes up as one PATCH, and is then given its name', async () => {
    expect(await push()).toBe('pushed');
    expect(ranges()).toEqual([undefined]);
    expect(stored()?.equals(bytes)).toBe(true);
    expect(fixture.server.uploads.size).toBe(0);
  });

  it('goes on where it broke, twice', async () => {
    const { server } = fixture;
    let kept = 0;
    const cut = (upTo: number) =>
      server.fault(
        ({ method }) => method === 'PATCH',
        (response, { path, body }) => {
          server.receivePart(path, body.subarray(0, upTo));
          kept += upTo;
          response.destroy();
        },
      );
    cut(5_000_001);
    cut(7_000_000);
    expect(await push()).toBe('pushed');
    expect(ranges()).toEqual([undefined, '5000001-19999999', '12000001-19999999']);
    expect(kept).toBe(12_000_001);
    expect(stored()?.equals(bytes)).toBe(true);
  });

  it('goes in chunks where a whole one is too large', async () => {
    const { server } = fixture;
    server.fault(
      ({ method, body }) => method === 'PATCH' && body.length > 33_554_432,
      (response) => response.writeHead(413).end(),
      99,
    );
    const larger = Buffer.alloc(40_000_000, 'x');
    const descriptor = { ...large, digest: digestOf(larger), size: larger.length };
    let opened = 0;
    const open = () => {
      opened++;
      return single(larger);
    };
    expect(await fixture.client().pushBlob(app(), descriptor, open)).toBe('pushed');
    expect(ranges()).toEqual([undefined, '0-33554431', '33554432-39999999']);
    expect(opened).toBe(2);
    expect(server.blobs.get(`acme/app@${descriptor.digest}`)?.equals(larger)).toBe(true);
  });

  it('goes on with a new token when the old one expires on the way', async () => {
    const { server } = fixture;
    server.auth = { kind: 'bearer', user: { username: 'ci', password: 'secret' } };
    server.fault(
      ({ method }) => method === 'PATCH',
      (response, { path, body }) => {
        server.receivePart(path, body.subarray(0, 6_000_000));
        server.revokeTokens();
        response.destroy();
      },
    );
    const client = fixture.client({ auth: { username: 'ci', password: 'secret' } });
    expect(await client.pushBlob(app(), large, source)).toBe('pushed');
    expect(stored()?.equals(bytes)).toBe(true);
    expect(server.requests.filter(({ path }) => path.startsWith('/token')).length).toBeGreaterThan(1);
  });

  it('is begun anew when the registry has forgotten the upload', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PATCH',
      (response) => {
        server.uploads.clear();
        response.destroy();
      },
    );
    expect(await push()).toBe('pushed');
    expect(stored()?.equals(bytes)).toBe(true);
  });

  it('waits as long as it is asked to', async () => {
    const { server, clock } = fixture;
    const before = clock.nowMs();
    server.fault(
      ({ method }) => method === 'PATCH',
      (response) => response.writeHead(429, { 'retry-after': '7' }).end(),
    );
    expect(await push()).toBe('pushed');
    expect(clock.nowMs() - before).toBeGreaterThanOrEqual(7_000);
    expect(stored()?.equals(bytes)).toBe(true);
  });

  it('is given up when it breaks again and again, and nothing of it is kept', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PATCH',
      (response) => response.destroy(),
      999,
    );
    await expect(push()).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(server.uploads.size).toBe(0);
  });

  it('fails as its source, and tells the registry to forget it', async () => {
    const gone = new KilnError('BLOB_MISSING', 'gone');
    await expect(
      push(async function* () {
        yield bytes.subarray(0, 9_000_000);
        throw gone;
      }),
    ).rejects.toBe(gone);
    await expect(push(() => single(bytes.subarray(1)))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await expect(push(() => single(Buffer.concat([bytes, bytes])))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    expect(fixture.server.uploads.size).toBe(0);
    expect(stored()).toBeUndefined();
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    const open = async function* (): Bytes {
      yield bytes.subarray(0, 9_000_000);
      abort.abort(new Error('cancelled'));
      yield bytes.subarray(9_000_000);
    };
    await expect(fixture.client().pushBlob(app(), large, open, {}, abort.signal)).rejects.toThrow('cancelled');
    expect(fixture.server.uploads.size).toBe(0);
  });
});
