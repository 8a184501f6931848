import { digestOf, type Index, parsePlatform } from '#oci';
import { describe, expect, it } from 'vitest';
import { choosePlatform } from './choose-platform.ts';

const entry = (name: string | undefined): Index['manifests'][number] => {
  const base = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(name ?? 'none'), size: 1 };
  if (name === undefined) return base;
  const [os = '', architecture = '', variant] = name.split('/');
  return { ...base, platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
};
const index = (...names: readonly (string | undefined)[]): Index => ({ schemaVersion: 2, manifests: names.map(entry) });
const choose = (wanted: string, ...names: readonly (string | undefined)[]) =>
  choosePlatform(index(...names), parsePlatform(wanted), 'app').digest;

describe('choosePlatform', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/arm64', ['linux/amd64', 'linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm64/v8', ['linux/amd64', 'linux/arm64'], 'linux/arm64'],
    ['linux/aarch64', ['linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], 'linux/arm/v7'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2'], 'linux/amd64/v2'],
    ['linux/amd64', ['windows/amd64', 'linux/amd64/v1'], 'linux/amd64/v1'],
  ])('takes for %s from %j: %s', (wanted, names, expected) => {
    expect(choose(wanted, ...names)).toBe(digestOf(expected));
  });

  it.each([
    ['linux/amd64', ['linux/amd64/v3', 'linux/386']],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm64']],
    ['linux/arm64', ['linux/arm/v7']],
    ['linux/amd64', ['windows/amd64', 'unknown/unknown']],
  ])('has nothing for %s in %j', (wanted, names) => {
    const there = names.filter((name) => !name.startsWith('unknown')).join(', ');
    expect(() => choose(wanted, ...names)).toThrow(
      expect.objectContaining({ code: 'IMAGE_NOT_FOUND', hint: `it is there for ${there}` }),
    );
  });

  it.each([
    ['a signature', { mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json' }],
    ['an artifact that names the platform of its image', { artifactType: 'application/vnd.amazon.soci.index.v2+json' }],
    ['an attestation', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }],
  ])('does not take %s for an image', (_, difference) => {
    const artifact = { ...entry('linux/amd64'), ...difference };
    const image = { ...entry('linux/amd64'), digest: digestOf('the image') };
    const target = parsePlatform('linux/amd64');
    expect(choosePlatform({ schemaVersion: 2, manifests: [artifact, image] }, target, 'app')).toBe(image);
    expect(() => choosePlatform({ schemaVersion: 2, manifests: [artifact] }, target, 'app')).toThrow('not there for');
  });

  it('takes an image whose entry says what its config is', () => {
    const image = { ...entry('linux/amd64'), artifactType: 'application/vnd.oci.image.config.v1+json' };
    expect(choosePlatform({ schemaVersion: 2, manifests: [image] }, parsePlatform('linux/amd64'), 'app')).toBe(image);
  });

  it('takes the only image of an index that names no platform, attestations or not', () => {
    expect(choose('linux/amd64', undefined, 'unknown/unknown')).toBe(digestOf('none'));
    expect(choose('linux/amd64', undefined)).toBe(digestOf('none'));
    expect(() => choose('linux/amd64', undefined, undefined)).toThrow('not there for linux/amd64');
  });
});
