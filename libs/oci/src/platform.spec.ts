import { describe, expect, it } from 'vitest';
import {
  distinctPlatforms,
  formatPlatform,
  parsePlatform,
  parseShortPlatform,
  runsOn,
  samePlatform,
} from './platform.ts';

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
  ])('%s is %s', (text, normal) => {
    expect(formatPlatform(parsePlatform(text))).toBe(normal);
  });

  it('refuses what is no platform', () => {
    for (const text of ['', 'linux', 'linux/', 'linux/amd64/v1/x', 'linux amd64'])
      expect(() => parsePlatform(text)).toThrow(/not a platform/);
  });

  it('compares by normal names', () => {
    expect(
      samePlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' }, { os: 'linux', architecture: 'aarch64' }),
    ).toBe(true);
    expect(
      samePlatform({ os: 'linux', architecture: 'arm', variant: 'v6' }, { os: 'linux', architecture: 'arm' }),
    ).toBe(false);
  });

  it.each([
    ['arm64', 'linux/arm64'],
    ['LINUX/ARM64', 'linux/arm64'],
    ['windows', 'windows/amd64'],
    ['linux', 'linux/amd64'],
  ])('%s is short for %s', (text, whole) => {
    expect(formatPlatform(parseShortPlatform(text, { os: 'linux', architecture: 'amd64' }))).toBe(whole);
  });

  it('are listed once, in the order in which they come', () => {
    const given = ['linux/arm64', 'linux/amd64', 'linux/arm64/v8', 'linux/arm', 'linux/arm/v7'].map(parsePlatform);
    expect(distinctPlatforms(given).map(formatPlatform)).toEqual(['linux/arm64', 'linux/amd64', 'linux/arm/v7']);
  });

  it.each([
    ['linux/amd64', 'linux/amd64', true],
    ['linux/amd64', 'linux/amd64/v3', true],
    ['linux/amd64', 'linux/386', false],
    ['linux/arm/v7', 'linux/arm/v6', true],
    ['linux/arm/v6', 'linux/arm/v7', false],
    ['linux/arm64', 'linux/arm/v7', false],
    ['linux/amd64', 'windows/amd64', false],
  ])('%s runs %s: %s', (own, wanted, runs) => {
    expect(runsOn(parsePlatform(own), parsePlatform(wanted))).toBe(runs);
  });
});
