import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPlatform, parsePlatform } from '#oci';
import { silentLogger } from '#std';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findNodePlatforms, type NodePlatformsOptions } from './node-platforms.ts';

const magic = { arm64: '7f454c460201010000000000000000000200b700', amd64: '7f454c4602010100000000000000000002003e00' };
const shown = (bytes: string): string =>
  `enabled\ninterpreter /qemu\nflags: F\noffset 0\nmagic ${bytes}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-binfmt-'));
  for (const name of ['kernel', 'packages']) await mkdir(join(dir, name));
  for (const name of ['register', 'status']) await writeFile(join(dir, 'kernel', name), '');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function found(options: Partial<NodePlatformsOptions>) {
  const { native, emulated } = await findNodePlatforms({
    arch: 'x64',
    declared: [],
    emulate: true,
    logger: silentLogger,
    binfmtDir: join(dir, 'kernel'),
    packageDir: join(dir, 'packages'),
    ...options,
  });
  return { native: native.map(formatPlatform), emulated: emulated.map(formatPlatform) };
}

describe('platforms of a node', () => {
  it('are those of its processor, its own first', async () => {
    expect((await found({})).native[0]).toBe('linux/amd64');
    expect(await found({ arch: 'arm64' })).toEqual({ native: ['linux/arm64'], emulated: [] });
    await expect(found({ arch: 'mips' })).rejects.toThrow(/no builder for the architecture mips/);
  });

  it('are those that the kernel has handlers for, the own ones left out', async () => {
    await writeFile(join(dir, 'kernel/any-name'), shown(magic.arm64));
    await writeFile(join(dir, 'kernel/own'), shown(magic.amd64));
    expect((await found({})).emulated).toEqual(['linux/arm64']);
    expect((await found({ emulate: false })).emulated).toEqual([]);
  });

  it('may be declared', async () => {
    await writeFile(join(dir, 'kernel/qemu-aarch64'), shown(magic.arm64));
    const declared = ['linux/arm64', 'linux/arm/v7'].map(parsePlatform);
    expect(await found({ declared })).toEqual({ native: ['linux/arm64', 'linux/arm/v7'], emulated: [] });
  });

  it('that a package emulates are registered once the kernel lacks them', async () => {
    await writeFile(join(dir, 'packages/qemu-aarch64.conf'), ':qemu-aarch64:M::m:k:/qemu:OP\n');
    await writeFile(join(dir, 'packages/qemu-riscv64-static.conf'), ':qemu-riscv64:M::m:k:/qemu:F\n');
    await writeFile(join(dir, 'packages/python3.11.conf'), ':python3.11:M::m::/usr/bin/python3.11:\n');
    await writeFile(join(dir, 'kernel/there'), shown(magic.arm64));
    await found({});
    expect(await readFile(join(dir, 'kernel/register'), 'utf8')).toBe(':qemu-riscv64:M::m:k:/qemu:F');
  });

  it('are its own where nothing is installed', async () => {
    expect((await found({ binfmtDir: join(dir, 'nowhere') })).emulated).toEqual([]);
  });
});
