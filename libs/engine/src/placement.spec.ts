import type { NodePlatforms } from '#executor';
import { parsePlatform, type Platform } from '#oci';
import { isKilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { Placement } from './placement.ts';

function node(native: readonly string[], emulated: readonly string[] = []): NodePlatforms {
  const [first = parsePlatform('linux/amd64'), ...more]: readonly Platform[] = native.map(parsePlatform);
  return { native: [first, ...more], emulated: emulated.map(parsePlatform) };
}

function placed(platform: string, own: NodePlatforms, others: readonly NodePlatforms[] = []) {
  const elsewhere = { builders: () => Promise.resolve(others), run: () => Promise.resolve(undefined) };
  return new Placement(own, elsewhere, systemClock).of(parsePlatform(platform));
}

describe('the place of a process', () => {
  const amd64 = node(['linux/amd64', 'linux/386'], ['linux/arm64', 'linux/arm/v7']);
  const arm64 = node(['linux/arm64']);

  it('is here for the node’s own platforms, whoever else there is', async () => {
    expect(await placed('linux/amd64', amd64, [node(['linux/amd64'])])).toBe('here');
    expect(await placed('linux/386', amd64)).toBe('here');
    expect(await placed('linux/amd64/v3', amd64)).toBe('here');
  });

  it('is on a node of the architecture before it is emulated', async () => {
    expect(await placed('linux/arm64', amd64, [arm64])).toBe('elsewhere');
    expect(await placed('linux/arm64', amd64, [amd64])).toBe('here');
    expect(await placed('linux/arm/v6', amd64, [arm64])).toBe('here');
  });

  it('is under emulation elsewhere where there is none here', async () => {
    expect(await placed('linux/arm64', node(['linux/amd64']), [amd64])).toBe('elsewhere');
  });

  it('is refused by name where nobody runs it', async () => {
    await expect(placed('linux/s390x', node(['linux/amd64']), [arm64])).rejects.toSatisfy(
      (thrown) =>
        isKilnError(thrown, 'PLATFORM_UNAVAILABLE') &&
        thrown.message === 'no builder can run linux/s390x: builders run linux/amd64, linux/arm64' &&
        thrown.hint?.includes('install qemu-user-static on a builder') === true,
    );
  });

  it('is not elsewhere for what was given to this node', async () => {
    const placement = new Placement(node(['linux/amd64']), undefined, systemClock);
    await expect(placement.of(parsePlatform('linux/arm64'))).rejects.toThrow(/no builder can run/);
  });
});
