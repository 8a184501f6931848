import { digestOf } from '#oci';
import { type Bytes, KilnError, single } from '#std';
import { type Recorded, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { layer } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('a large blob', () => {
  const bytes = Buffer.alloc(20_000_000, 'a large layer ');
  const large = { mediaType: layer.mediaType, digest: digestOf(bytes), size: bytes.length };
  const patches = () => fixture.server.requests.filter(({ method }) => method === 'PATCH');
  const ranges = () => patches().map(({ headers }) => headers['content-range']);
  const methods = () =>
    fixture.server.requests.filter(({ path }) => !path.startsWith('/token')).map(({ method }) => method);
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

  it('is not sent again when only the answer to its end is lost', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PUT',
      (response, { path }) => {
        server.addBlob('acme/app', bytes);
        server.uploads.delete(new URL(path, server.url).pathname);
        response.destroy();
      },
    );
    expect(await push()).toBe('pushed');
    expect(methods()).toEqual(['HEAD', 'POST', 'PATCH', 'PUT', 'HEAD']);
  });

  it('is only named again when the registry fails at that', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PUT',
      (response) => response.writeHead(503).end(),
    );
    expect(await push()).toBe('pushed');
    expect(methods()).toEqual(['HEAD', 'POST', 'PATCH', 'PUT', 'HEAD', 'GET', 'PUT']);
    expect(stored()?.equals(bytes)).toBe(true);
  });

  it('goes on where the registry is when it says that another part is next', async () => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PATCH',
      (response, { path, body }) => {
        server.receivePart(path, body.subarray(0, 3_000_000));
        response.writeHead(416).end();
      },
    );
    expect(await push()).toBe('pushed');
    expect(ranges()).toEqual([undefined, '3000000-19999999']);
    expect(stored()?.equals(bytes)).toBe(true);
  });

  it.each([400, 405])('is begun anew when the registry does not tell how far it is (%s)', async (status) => {
    const { server } = fixture;
    server.fault(
      ({ method }) => method === 'PATCH',
      (response) => response.destroy(),
    );
    server.fault(
      ({ method }) => method === 'GET',
      (response) => response.writeHead(status).end(),
    );
    expect(await push()).toBe('pushed');
    expect(methods().filter((method) => method === 'POST')).toHaveLength(2);
    expect([stored()?.equals(bytes), server.uploads.size]).toEqual([true, 0]);
  });

  it('goes in chunks, as large as the registry wants them, where a proxy hangs up on a whole one', async () => {
    const { server } = fixture;
    server.chunkMinBytes = 35_000_000;
    server.fault(
      ({ method, headers }) => method === 'PATCH' && headers['content-range'] === undefined,
      (response) => response.destroy(),
      99,
    );
    const larger = Buffer.alloc(40_000_000, 'x');
    const descriptor = { ...large, digest: digestOf(larger), size: larger.length };
    expect(await fixture.client().pushBlob(app(), descriptor, () => single(larger))).toBe('pushed');
    expect(ranges()).toEqual([undefined, undefined, '0-34999999', '35000000-39999999']);
  });

  it('does not wait for ever, and tells the registry to forget it', async () => {
    const { server, clock } = fixture;
    server.fault(
      ({ method }) => method === 'PATCH',
      (response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
    );
    await expect(push()).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('3600 s of patience') as string,
    });
    expect([clock.slept, server.uploads.size]).toEqual([[], 0]);
  });

  describe('with a token that expires', () => {
    const auth = { username: 'ci', password: 'secret' };
    /** The next request that matches finds its token expired. */
    const expireAt = (matches: (request: Recorded) => boolean): void => {
      const { server } = fixture;
      server.fault(matches, (response) => {
        server.revokeTokens();
        const challenge = `Bearer realm="${server.url}/token",service="fault",error="invalid_token"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      });
    };
    beforeEach(() => {
      fixture.server.auth = { kind: 'bearer', user: auth };
    });

    it.each(['HEAD', 'POST', 'PATCH', 'PUT'])('goes on with another one, at %s', async (at) => {
      expireAt(({ method }) => method === at);
      expect(await fixture.client({ auth }).pushBlob(app(), large, source)).toBe('pushed');
      expect(stored()?.equals(bytes)).toBe(true);
      expect(methods().filter((method) => method === 'POST')).toHaveLength(at === 'POST' ? 2 : 1);
    });

    it('goes on with another one, between chunks', async () => {
      const { server } = fixture;
      const larger = Buffer.alloc(40_000_000, 'x');
      const descriptor = { ...large, digest: digestOf(larger), size: larger.length };
      server.fault(
        ({ method }) => method === 'PATCH',
        (response) => response.writeHead(413).end(),
      );
      expireAt(({ headers }) => headers['content-range']?.startsWith('33554432-') === true);
      expect(await fixture.client({ auth }).pushBlob(app(), descriptor, () => single(larger))).toBe('pushed');
      const second = '33554432-39999999';
      expect(ranges()).toEqual([undefined, '0-33554431', second, second]);
      expect(server.blobs.get(`acme/app@${descriptor.digest}`)?.equals(larger)).toBe(true);
    });
  });

  it('tells another host that it is sent to nothing of who it is', async () => {
    const { server, other } = fixture;
    server.auth = { kind: 'basic', username: 'ci', password: 'secret' };
    const storage = `${other.url}/v2/acme/app/blobs/uploads/1?_state=there`;
    server.fault(
      ({ method, headers }) => method === 'POST' && headers.authorization !== undefined,
      (response) => response.writeHead(202, { location: storage }).end(),
    );
    other.fault(
      ({ method }) => method === 'PATCH',
      (response) => response.writeHead(202, { location: storage }).end(),
    );
    other.fault(
      ({ method }) => method === 'PUT',
      (response) => response.writeHead(201).end(),
    );
    const client = fixture.client({ auth: { username: 'ci', password: 'secret' } });
    expect(await client.pushBlob(app(), large, source)).toBe('pushed');
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });
});
