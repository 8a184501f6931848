import { digestOf, mediaType, parseReference } from '#oci';
import { addSampleImage, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { platform, manifestBytes } = sampleImage;

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('resolving', () => {
  it('picks the platform from an index, and verifies every part', async () => {
    const { server } = fixture;
    addSampleImage(server, 'acme/app', 'amd');
    const entry = { mediaType: mediaType.ociManifest, digest: digestOf(manifestBytes), size: manifestBytes.length };
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        manifests: [
          { ...entry, digest: digestOf('other'), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
          { ...entry, platform },
          { ...entry, digest: digestOf('att'), platform: { os: 'unknown', architecture: 'unknown' } },
        ],
      }),
    );
    server.addManifest('acme/app', '1', mediaType.ociIndex, index);
    const found = await fixture.client().resolve(fixture.image, platform);
    expect(found).toMatchObject({
      digest: digestOf(manifestBytes),
      standIn: false,
      config: { config: { Env: ['A=b'] } },
    });
    await expect(fixture.client().resolve(fixture.image, { os: 'linux', architecture: 's390x' })).rejects.toMatchObject(
      {
        code: 'IMAGE_NOT_FOUND',
        hint: 'it is there for linux/arm64, linux/amd64',
      },
    );
  });

  it('refuses other bytes than those of the digest', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(
      ({ path }) => path.includes('/manifests/sha256:'),
      (response) => response.end(Buffer.concat([manifestBytes, Buffer.from(' ')])),
    );
    const pinned = parseReference(`${server.host}/acme/app:1@${digestOf(manifestBytes)}`);
    await expect(fixture.client().resolve(pinned, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
  });

  it('does not read without end', async () => {
    const { server } = fixture;
    server.fault(
      () => true,
      (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        };
        response.on('drain', more);
        more();
      },
    );
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('more than 4194304 bytes') as string,
    });
  });

  it('waits as long as it is asked to, but not for ever', async () => {
    const { server } = fixture;
    addSampleImage(server);
    const busy = (seconds: string) =>
      server.fault(
        () => true,
        (response) => response.writeHead(429, { 'retry-after': seconds }).end(),
      );
    busy('7');
    await fixture.client().resolve(fixture.image, platform);
    expect(fixture.clock.slept).toEqual([7000]);
    busy('3600');
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(fixture.clock.slept).toEqual([7000]);
  });

  it('tries again after 5xx and broken connections, four times in all', async () => {
    const { server } = fixture;
    addSampleImage(server);
    server.fault(
      () => true,
      (response) => response.writeHead(503).end(),
      2,
    );
    server.fault(
      () => true,
      (response) => response.destroy(),
    );
    await fixture.client().resolve(fixture.image, platform);
    expect(fixture.clock.slept).toEqual([500, 1000, 2000]);
    server.requests.length = 0;
    server.fault(
      () => true,
      (response) => response.writeHead(500).end(),
      100,
    );
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(server.requests).toHaveLength(4);
  });

  it('stops at once when it is told to', async () => {
    const { server } = fixture;
    server.fault(
      () => true,
      () => {},
    );
    const stop = new AbortController();
    const asked = fixture.client().resolve(fixture.image, platform, stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(asked).rejects.toThrow('enough');
  });
});
