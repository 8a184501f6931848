import { KilnError, single } from '#std';
import { RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { layer, layerBytes } = sampleImage;
const app = () => ({ registry: fixture.server.host, repository: 'acme/app' });

/** A source that nobody should open. */
const unread = () => {
  throw new Error('opened');
};
const asked = () => fixture.server.requests.map(({ method, path }) => `${method} ${path}`);

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
    expect(server.requests.at(-1)?.path).toMatch(/_state=a%2Bb%3D\d+&digest=sha256%3A/);
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
    expect(await client.pushBlob(app(), layer, unread, { mountFrom })).toBe('mounted');
    expect(server.blobs.has(`acme/app@${layer.digest}`)).toBe(true);
    const tokens = server.requests.filter(({ path }) => path.startsWith('/token'));
    const scopes = tokens.map(({ path }) => new URL(path, server.url).searchParams.getAll('scope'));
    const own = 'repository:acme/app:pull,push';
    expect(scopes).toEqual([[own], [own, 'repository:acme/base:pull']]);
  });

  it('mounts by two requests', async () => {
    fixture.server.addBlob('acme/base', layerBytes);
    await fixture.client().pushBlob(app(), layer, unread, { mountFrom: 'acme/base' });
    expect(asked()).toEqual([
      `HEAD /v2/acme/app/blobs/${layer.digest}`,
      `POST /v2/acme/app/blobs/uploads/?mount=${encodeURIComponent(layer.digest)}&from=acme%2Fbase`,
    ]);
  });

  it('goes on with the upload that a registry begins instead of a mount', async () => {
    const mountFrom = 'acme/no-such';
    expect(await fixture.client().pushBlob(app(), layer, () => single(layerBytes), { mountFrom })).toBe('pushed');
    const [, begun, sent, ...more] = asked();
    expect(begun).toContain('POST /v2/acme/app/blobs/uploads/?mount=');
    expect(sent).toMatch(/^PUT \/v2\/acme\/app\/blobs\/uploads\/1\?/);
    expect(more).toEqual([]);
    expect(fixture.server.uploads.size).toBe(0);
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
