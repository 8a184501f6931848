import { digestOf, IndexSchema, mediaType, type Platform } from '#oci';
import { describe, expect, it } from 'vitest';
import { assembleAttestation } from './assemble-attestation.ts';
import { assembleImage } from './assemble-image.ts';
import { assembleIndex, imagesOf, manifestsOf, topOf } from './assemble-index.ts';
import { readImage } from './read-image.ts';

const imageFor = (platform: Platform) =>
  assembleImage({ platform, config: {}, history: [], layers: [], createdAt: '2026-01-02T03:04:05Z' });
const images = [imageFor({ os: 'linux', architecture: 'amd64' }), imageFor({ os: 'linux', architecture: 'arm64' })];
const statement = {
  descriptor: { mediaType: mediaType.inToto, digest: digestOf('said'), size: 4 },
  predicateType: 'urn:x',
};

describe.each([true, false])('attestations, as artifacts: %s', (artifact) => {
  const attestations = images.map((image) => assembleAttestation({ image, statements: [statement], artifact }));
  const index = assembleIndex({ images, attestations });

  it('come after all images, each for no platform and about one of them', () => {
    const { manifests } = IndexSchema.parse(JSON.parse(index.indexBytes.toString()));
    expect(manifests.map(({ digest, platform }) => [digest, platform?.architecture])).toEqual([
      ...images.map(({ manifestDescriptor, platform }) => [manifestDescriptor.digest, platform.architecture]),
      ...attestations.map(({ manifestDescriptor }) => [manifestDescriptor.digest, 'unknown']),
    ]);
    expect(manifests.slice(2).map(({ annotations }) => annotations?.['vnd.docker.reference.digest'])).toEqual(
      images.map(({ manifestDescriptor }) => manifestDescriptor.digest),
    );
  });

  it('are read back as what they are, and the images without them', async () => {
    const bytes = new Map([
      [topOf(index).descriptor.digest, topOf(index).bytes],
      ...manifestsOf(index).flatMap(
        ({ configBytes, configDescriptor, manifestBytes, manifestDescriptor }) =>
          [
            [configDescriptor.digest, configBytes],
            [manifestDescriptor.digest, manifestBytes],
          ] as const,
      ),
    ]);
    const again = await readImage(topOf(index).descriptor, ({ digest }) =>
      Promise.resolve(bytes.get(digest) ?? Buffer.alloc(0)),
    );
    expect(imagesOf(again).map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
    const manifests = manifestsOf(again).map(({ manifestBytes }) => manifestBytes.toString());
    expect(manifests).toEqual(manifestsOf(index).map(({ manifestBytes }) => manifestBytes.toString()));
  });

  it('are the same bytes for the same statements, and know what they are of', () => {
    const [first, second] = attestations;
    const [image] = images;
    if (image === undefined) throw new Error('no image');
    expect(assembleAttestation({ image, statements: [statement], artifact })).toEqual(first);
    expect(first?.of).toBe(image.manifestDescriptor.digest);
    // Without a reference in it, the manifest is about whichever image the index says.
    expect(first?.manifestDescriptor.digest === second?.manifestDescriptor.digest).toBe(!artifact);
  });
});
