import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError, messageOf, systemCode } from '#std';
import { kernel } from './libc.ts';
import type { Mount } from './snapshotter.ts';

const MS_RDONLY = 1;
const MS_NODEV = 4;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const O_PATH = 0o10000000;

/** With any of these on, a rename or a change of mode is not whole in the upper directory, and a layer would lose it. */
const plainUpper = 'redirect_dir=off,metacopy=off,index=off';

const unmountAttempts = 20;
const unmountPauseMs = 5;

/**
 * Mounts each on `target`, an existing directory, the last one topmost; none stays when one fails. Device nodes in it
 * cannot be opened.
 * @throws KilnError INTERNAL
 */
export async function mountAll(mounts: readonly Mount[], target: string): Promise<void> {
  const done: Mount[] = [];
  try {
    for (const mount of mounts) {
      mountOne(mount, target);
      done.push(mount);
    }
  } catch (thrown) {
    for (const _ of done) await unmount(target);
    throw new KilnError('INTERNAL', `cannot mount a snapshot: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/**
 * Takes the topmost mount off `target`; nothing happens where none is. A mount that is still in use after 100 ms is
 * detached: it disappears from the tree now and ends with its last user.
 */
export async function unmount(target: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return kernel.unmount(target, UMOUNT_NOFOLLOW | (attempt > unmountAttempts ? MNT_DETACH : 0));
    } catch (thrown) {
      const code = systemCode(thrown);
      if (code === 'EINVAL' || code === 'ENOENT') return;
      if (code !== 'EBUSY' || attempt > unmountAttempts) throw thrown;
    }
    await delay(unmountPauseMs);
  }
}

function mountOne(mount: Mount, target: string): void {
  if (mount.kind === 'overlay') return mountOverlay(mount, target);
  kernel.mount(mount.source, target, null, MS_BIND, null);
  try {
    // A bind takes no other flags at first.
    kernel.mount('none', target, null, MS_REMOUNT | MS_BIND | MS_NODEV | (mount.readonly ? MS_RDONLY : 0), null);
  } catch (thrown) {
    kernel.unmount(target, MNT_DETACH);
    throw thrown;
  }
}

/**
 * mount(2) takes one page of options, which 120 full paths exceed. Named by descriptors they need 18 bytes each, so that
 * 200 layers fit on any kernel (fsconfig's `lowerdir+` needs 6.7 and no path above 255 bytes).
 */
function mountOverlay({ lower, upper, work }: Mount & { kind: 'overlay' }, target: string): void {
  const descriptors: number[] = [];
  const named = (path: string): string => {
    const descriptor = openSync(path, O_PATH | constants.O_DIRECTORY);
    descriptors.push(descriptor);
    return `/proc/self/fd/${descriptor}`;
  };
  try {
    const options = [`lowerdir=${lower.map(named).join(':')}`, plainUpper];
    if (upper !== undefined && work !== undefined) {
      // A snapshot that a crash of the machine may have torn is never used again (see OverlaySnapshotter), so nothing
      // needs to be synced for its sake: fsync of a step, which package managers call per file, costs nothing.
      rmSync(`${work}/work/incompat`, { recursive: true, force: true });
      options.push(`upperdir=${named(upper)}`, `workdir=${named(work)}`, 'volatile');
    }
    kernel.mount('overlay', target, 'overlay', MS_NODEV | (upper === undefined ? MS_RDONLY : 0), options.join(','));
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}
