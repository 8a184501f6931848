import { digestOf, IndexSchema, type Layer, mediaType, type Platform } from '#oci';
import { describe, expect, it } from 'vitest';
import { assembleImage } from './assemble-image.ts';
import { assembleIndex, topOf } from './assemble-index.ts';

const layer: Layer = {
  descriptor: { mediaType: mediaType.ociLayer, digest: digestOf('files'), size: 5 },
  diffId: digestOf('files'),
};
const imageFor = (platform: Platform) =>
  assembleImage({
    platform,
    config: {},
    history: [{ createdBy: 'COPY . .', emptyLayer: false }],
    layers: [layer],
    createdAt: '2026-01-02T03:04:05Z',
  });
const amd64 = imageFor({ os: 'linux', architecture: 'amd64' });
const arm = imageFor({ os: 'linux', architecture: 'arm', variant: 'v7' });

describe('assembleIndex', () => {
  it('lists images with their platforms, in the order given', () => {
    const index = assembleIndex({ images: [arm, amd64] });
    const read = IndexSchema.parse(JSON.parse(index.indexBytes.toString()));
    expect(read.mediaType).toBe(mediaType.ociIndex);
    expect(read.manifests).toMatchObject([
      { ...arm.manifestDescriptor, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      { ...amd64.manifestDescriptor, platform: { os: 'linux', architecture: 'amd64' } },
    ]);
    expect(index.indexDescriptor).toEqual({
      mediaType: mediaType.ociIndex,
      digest: digestOf(index.indexBytes),
      size: index.indexBytes.length,
    });
    expect(topOf(index).descriptor).toBe(index.indexDescriptor);
  });

  it('gives the same bytes for the same images', () => {
    expect(assembleIndex({ images: [arm, amd64] }).indexDescriptor).toEqual(
      assembleIndex({ images: [arm, amd64] }).indexDescriptor,
    );
    expect(() => assembleIndex({ images: [] })).toThrow('no images');
  });
});
