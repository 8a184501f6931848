import { digestOf, mediaType, parseReference } from '#oci';
import { addSampleImage, RegistryFixture, sampleImage } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { platform, manifestBytes, configBytes } = sampleImage;

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

  it('reads an index although some of its entries are nothing that it knows', async () => {
    const { server } = fixture;
    addSampleImage(server, 'acme/app', 'amd');
    const entry = { mediaType: mediaType.ociManifest, digest: digestOf(manifestBytes), size: manifestBytes.length };
    const manifests: readonly unknown[] = [
      { mediaType: 'application/vnd.example+json', digest: `sha512:${'ab'.repeat(64)}`, size: 7 },
      { ...entry, digest: digestOf('sbom'), artifactType: 'application/spdx+json', annotations: null, platform: null },
      { mediaType: 'application/vnd.example+json' },
      'what is this?',
      { ...entry, platform: { ...platform, features: ['sse4'] }, data: '', urls: null },
    ];
    const index = {
      schemaVersion: 2,
      mediaType: mediaType.ociIndex,
      artifactType: 'application/vnd.example',
      subject: entry,
      annotations: null,
      manifests,
    };
    server.addManifest('acme/app', '1', mediaType.ociIndex, Buffer.from(JSON.stringify(index)));
    const found = await fixture.client().resolve(fixture.image, platform);
    expect(found.digest).toBe(digestOf(manifestBytes));
  });

  it.each([
    ['a manifest', '/manifests/sha256:', manifestBytes],
    ['a config', '/blobs/', configBytes],
  ])('asks again for %s whose bytes are not those of its digest, but not for ever', async (_, at, bytes) => {
    const { server } = fixture;
    addSampleImage(server);
    const pinned = parseReference(`${server.host}/acme/app:1@${digestOf(manifestBytes)}`);
    const wrong = [bytes.subarray(0, -1), Buffer.alloc(bytes.length)];
    for (const sent of wrong)
      server.fault(
        ({ path }) => path.includes(at),
        (response) => response.end(sent),
      );
    expect((await fixture.client().resolve(pinned, platform)).digest).toBe(digestOf(manifestBytes));
    server.fault(
      ({ path }) => path.includes(at),
      (response) => response.end(wrong[0]),
      99,
    );
    await expect(fixture.client().resolve(pinned, platform)).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('instead of') as string,
    });
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
    const inNineSeconds = new Date(Math.ceil(fixture.clock.nowMs() / 1000) * 1000 + 9000);
    busy(inNineSeconds.toUTCString());
    await fixture.client().resolve(fixture.image, platform);
    expect(fixture.clock.nowMs()).toBe(inNineSeconds.getTime());
    fixture.clock.slept.length = 0;
    busy(new Date(fixture.clock.nowMs() + 3_600_000).toUTCString());
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    busy('3600');
    await expect(fixture.client().resolve(fixture.image, platform)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    expect(fixture.clock.slept).toEqual([]);
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
