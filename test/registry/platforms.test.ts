import { assembleImage, pushImage } from '#exporter';
import { digestOf, mediaType, parsePlatform, parseReference } from '#oci';
import { RegistryClient } from '#registry';
import { silentLogger, single, systemClock } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealRegistry } from './real-registry.ts';

const stack = new AsyncDisposableStack();
let registry: RealRegistry;
let client: RegistryClient;
beforeAll(async () => {
  registry = stack.use(await RealRegistry.start());
  client = stack.use(
    new RegistryClient({
      clock: systemClock,
      credentials: () => Promise.resolve(null),
      mirrors: [],
      plainHttp: [],
      logger: silentLogger,
      egress: { allow: ['127.0.0.0/8'] },
    }),
  );
});
afterAll(() => stack.disposeAsync());

const reference = (tag: string) => parseReference(`${registry.host}/acme/app:${tag}`);
const asJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

async function pushFor(name: string, tag: string) {
  const bytes = Buffer.from(`a layer for ${name}`);
  const digest = digestOf(bytes);
  const image = assembleImage({
    platform: parsePlatform(name),
    config: {},
    history: [{ createdBy: 'COPY . .', emptyLayer: false }],
    layers: [{ descriptor: { mediaType: mediaType.ociLayer, digest, size: bytes.length }, diffId: digest }],
    createdAt: '2026-01-02T03:04:05Z',
  });
  await pushImage({
    client,
    image,
    reference: reference(tag),
    openLayer: () => single(bytes),
    report: () => {},
    signal: new AbortController().signal,
    beforeTag: () => Promise.resolve(),
  });
  return image;
}

/** As BuildKit writes it beside an image. */
async function pushAttestation(of: string) {
  const statement = asJson({ _type: 'https://in-toto.io/Statement/v1' });
  const empty = Buffer.from('{}');
  for (const bytes of [statement, empty]) {
    const descriptor = { mediaType: 'application/json', digest: digestOf(bytes), size: bytes.length };
    await client.pushBlob(reference('x'), descriptor, () => single(bytes));
  }
  const manifest = asJson({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { mediaType: mediaType.ociConfig, digest: digestOf(empty), size: empty.length },
    layers: [{ mediaType: 'application/vnd.in-toto+json', digest: digestOf(statement), size: statement.length }],
  });
  const digest = await client.pushManifest({ ...reference('x'), tag: undefined }, mediaType.ociManifest, manifest);
  return {
    mediaType: mediaType.ociManifest,
    digest,
    size: manifest.length,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': of },
  };
}

describe.each([mediaType.ociIndex, mediaType.dockerIndex])('an image for several platforms, %s', (type) => {
  it('is resolved to that of the platform, not to what attests it', async () => {
    const amd = await pushFor('linux/amd64', 'amd64');
    const arm = await pushFor('linux/arm64', 'arm64');
    const of = (image: typeof amd, architecture: string) => ({
      ...image.manifestDescriptor,
      platform: { os: 'linux', architecture },
    });
    const attestation = await pushAttestation(amd.manifestDescriptor.digest);
    const manifests = [attestation, of(arm, 'arm64'), of(amd, 'amd64')];
    const index = asJson({ schemaVersion: 2, mediaType: type, manifests });
    await client.pushManifest(reference('all'), type, index);

    const resolved = async (name: string) => (await client.resolve(reference('all'), parsePlatform(name))).digest;
    expect(await resolved('linux/amd64')).toBe(amd.manifestDescriptor.digest);
    expect(await resolved('linux/arm64')).toBe(arm.manifestDescriptor.digest);
    await expect(resolved('linux/s390x')).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      hint: 'it is there for linux/arm64, linux/amd64',
    });

    // A later push of one of its images changes neither the index nor what it lists.
    await pushFor('linux/amd64', 'amd64');
    expect((await client.headManifest(reference('all')))?.digest).toBe(digestOf(index));
    const attested = { ...reference('x'), tag: undefined, digest: attestation.digest };
    expect((await client.headManifest(attested))?.digest).toBe(attestation.digest);
  });
});
