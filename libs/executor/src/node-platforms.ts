import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePlatform, type Platform, runsOn } from '#oci';
import { KilnError, type Logger, messageOf, systemCode } from '#std';
import { type Machine, machines, readHandlers, registration, serves } from './binfmt.ts';
import { kernel } from './libc.ts';

/** What a node's steps can be for. */
export interface NodePlatforms {
  /** by its processor, its own first */
  readonly native: readonly [Platform, ...Platform[]];
  /** by QEMU, many times slower */
  readonly emulated: readonly Platform[];
}

export interface NodePlatformsOptions {
  /** as Node has it: x64, arm64 */
  readonly arch: string;
  /** in place of what the processor says */
  readonly declared: readonly Platform[];
  /** use emulators, and register those that are installed and that the kernel does not know */
  readonly emulate: boolean;
  readonly logger: Logger;
  readonly binfmtDir?: string | undefined;
  /** where packages of QEMU put their registrations */
  readonly packageDir?: string | undefined;
}

/** @throws KilnError INTERNAL for a processor without a builder */
export async function findNodePlatforms(options: NodePlatformsOptions): Promise<NodePlatforms> {
  const [first, ...more] = options.declared;
  const native: readonly [Platform, ...Platform[]] =
    first === undefined ? processorPlatforms(options.arch) : [first, ...more];
  if (!options.emulate) return { native, emulated: [] };
  const foreign = machines.filter(({ platforms }) =>
    platforms.some((text) => !native.some((own) => runsOn(own, parsePlatform(text)))),
  );
  const served = await emulators(foreign, options);
  return { native, emulated: served.flatMap(({ platforms }) => platforms.map(parsePlatform)) };
}

function processorPlatforms(arch: string): readonly [Platform, ...Platform[]] {
  if (arch === 'arm64') return [{ os: 'linux', architecture: 'arm64' }];
  if (arch !== 'x64') throw new KilnError('INTERNAL', `no builder for the architecture ${arch}`);
  const amd64 = { os: 'linux', architecture: 'amd64' };
  // The kernel has this setting where it runs programs of 32 bits.
  return existsSync('/proc/sys/abi/vsyscall32') ? [amd64, { os: 'linux', architecture: '386' }] : [amd64];
}

/** The machines whose programs the kernel starts, after it has been told of those that it could. */
async function emulators(
  wanted: readonly Machine[],
  {
    logger,
    binfmtDir = '/proc/sys/fs/binfmt_misc',
    packageDir = '/usr/lib/binfmt.d',
  }: Pick<NodePlatformsOptions, 'logger' | 'binfmtDir' | 'packageDir'>,
): Promise<readonly Machine[]> {
  try {
    if (!existsSync(join(binfmtDir, 'register'))) {
      if ((await packaged(wanted, packageDir)).length === 0) return [];
      // In this process' mount namespace: what is registered lives as long as the last namespace that sees it.
      kernel.mountVirtual('binfmt_misc', binfmtDir);
    }
    const known = await readHandlers(binfmtDir);
    const missing = wanted.filter((machine) => !known.some((handler) => serves(handler, machine)));
    for (const { line, qemu } of await packaged(missing, packageDir)) await register({ line, qemu, binfmtDir, logger });
    const handlers = await readHandlers(binfmtDir);
    return wanted.filter((machine) => handlers.some((handler) => serves(handler, machine)));
  } catch (thrown) {
    logger.warn('no other platforms are emulated here', { error: messageOf(thrown) });
    return [];
  }
}

/** Those of the machines that an installed package emulates. */
async function packaged(
  wanted: readonly Machine[],
  packageDir: string,
): Promise<readonly { readonly qemu: string; readonly line: string }[]> {
  const names = await readdir(packageDir).catch((): string[] => []);
  const found = await Promise.all(
    wanted.map(async ({ qemu }) => {
      const name = [`qemu-${qemu}.conf`, `qemu-${qemu}-static.conf`].find((each) => names.includes(each));
      const line = name === undefined ? undefined : registration(await readFile(join(packageDir, name), 'utf8'));
      return line === undefined ? [] : [{ qemu, line }];
    }),
  );
  return found.flat();
}

interface Registering {
  readonly line: string;
  readonly qemu: string;
  readonly binfmtDir: string;
  readonly logger: Logger;
}

async function register({ line, qemu, binfmtDir, logger }: Registering): Promise<void> {
  try {
    await writeFile(join(binfmtDir, 'register'), line);
    logger.info('an emulator is registered', { qemu });
  } catch (thrown) {
    // Another builder of this node was faster.
    if (systemCode(thrown) === 'EEXIST') return;
    logger.warn('an emulator could not be registered', { qemu, error: messageOf(thrown) });
  }
}
