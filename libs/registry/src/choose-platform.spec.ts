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

  it('takes the only image of an index that names no platform', () => {
    expect(choose('linux/amd64', undefined)).toBe(digestOf('none'));
    expect(() => choose('linux/amd64', undefined, undefined)).toThrow('not there for linux/amd64');
  });
});
