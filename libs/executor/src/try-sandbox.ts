import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isKilnError, KilnError } from '#std';
import type { Executor } from './executor.ts';

/** Of a program that is not there, as a shell has it. */
const NOT_FOUND = 127;
const LIMITS = { memoryBytes: 64 * 1024 * 1024, pids: 16 };

/**
 * Starts a sandbox whose program is not there: all but the program is as in a step's. A node that gives no sandboxes would fail
 * every build that it takes, and have room for the next one at once.
 * @param place a directory that the sandbox's root may pass through
 * @param owner the sandbox's root, as the node knows it
 * @throws KilnError UNAVAILABLE when this node gives none
 */
export async function trySandbox(executor: Executor, place: string, owner: number): Promise<void> {
  const rootfs = await mkdtemp(join(place, 'try-'));
  try {
    await chmod(rootfs, 0o755);
    await chown(rootfs, owner, owner);
    const spec = {
      ...{ id: basename(rootfs).toLowerCase(), args: ['/there-is-none'], env: [], cwd: '/', hostname: 'kiln' },
      ...{ uid: 0, gid: 0, additionalGids: [], network: 'default' as const, limits: LIMITS, mounts: [] },
    };
    const { exitCode } = await executor.run(spec, rootfs, () => undefined, new AbortController().signal);
    if (exitCode !== NOT_FOUND) throw new KilnError('SANDBOX_FAILED', `its program ended with ${exitCode}`);
  } catch (cause) {
    if (!isKilnError(cause, 'SANDBOX_FAILED')) throw cause;
    throw new KilnError('UNAVAILABLE', `no step can run on this machine: ${cause.message}`, {
      cause,
      hint: 'the builder needs root, user namespaces (user.max_user_namespaces, no chroot), control groups, runc and slirp4netns',
    });
  } finally {
    await rm(rootfs, { recursive: true, force: true });
  }
}
