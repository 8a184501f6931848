import { describe, expect, it } from 'vitest';
import { BuildRequest } from './build-request.ts';
import { readPlatforms } from './platform-words.ts';

describe('platforms as people write them', () => {
  const mac = { os: 'darwin', architecture: 'arm64' };

  it('are written in full, each once', () => {
    expect(readPlatforms(['linux/amd64', 'arm64', 'linux/aarch64', 'linux/arm'], mac)).toEqual([
      'linux/amd64',
      'linux/arm64',
      'linux/arm/v7',
    ]);
    expect(readPlatforms(['linux', 'local'], mac)).toEqual(['linux/arm64', 'darwin/arm64']);
    expect(readPlatforms([], mac)).toEqual([]);
  });

  it('are refused by name', () => {
    expect(() => readPlatforms(['linux/a/b/c'], mac)).toThrow('not a platform: "linux/a/b/c"');
    expect(() => readPlatforms(['linux/foo'], mac)).toThrow('unknown architecture "foo" in the platform linux/foo');
    expect(() => readPlatforms(['foo'], mac)).toThrow('unknown architecture "foo"');
    expect(() => readPlatforms(['linus/amd64'], mac)).toThrow('unknown operating system "linus"');
    const { error } = BuildRequest.safeParse({ platforms: ['linux/amd64', 'arm64'] });
    expect(error?.issues).toMatchObject([{ path: ['platforms', 1], message: 'not a platform: "arm64"' }]);
  });
});
