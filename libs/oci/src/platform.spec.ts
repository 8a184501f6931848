import { describe, expect, it } from 'vitest';
import { formatPlatform, parsePlatform, samePlatform } from './platform.ts';

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
});
