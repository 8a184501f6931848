import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { KilnError, systemCode } from '#std';

/** Where an absolute path of the image lies on this node, links followed inside of the root. */
export type ResolveInRoot = (root: string, path: string) => Promise<string>;

export interface MountPoint {
  /** absolute, in the image */
  readonly target: string;
  readonly kind: 'file' | 'dir';
  /** of a directory that has to be made; 0755 by default */
  readonly mode?: number | undefined;
}

export interface StubOptions {
  /** what the system's own mounts cover */
  readonly system: readonly string[];
  readonly rootfs: string;
  readonly resolve: ResolveInRoot;
  /** on this node */
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes the files and directories that something will be mounted on, in the order of the mounts, so that the runtime does not, and leaves no trace
 * of them: what is still empty after the step is removed again, parents that were made for it included, and the
 * directories around keep their times.
 * @returns removes them
 */
export async function makeMountStubs(points: readonly MountPoint[], options: StubOptions): Promise<() => void> {
  const made: string[] = [];
  const remove = (): void => {
    for (const path of made.reverse()) {
      // The step may have put a link to somewhere on the node in a directory's place.
      if (hasRealParents(path, options.rootfs)) keepingTimes(dirname(path), () => removeIfEmpty(path));
    }
  };
  try {
    const covered = [...options.system];
    for (const { target, kind, mode } of points) {
      // Below an earlier mount the runtime makes what it needs, in that.
      if (covered.some((dir) => target.startsWith(`${dir}/`))) continue;
      covered.push(target);
      const path = await options.resolve(options.rootfs, target);
      refuseOtherKind(target, kind, look(path));
      for (const missing of missingParts(path, options.rootfs)) {
        keepingTimes(dirname(missing), () =>
          make(missing, missing === path ? { kind, mode } : { kind: 'dir' }, options),
        );
        made.push(missing);
      }
    }
  } catch (thrown) {
    remove();
    throw thrown;
  }
  return remove;
}

function refuseOtherKind(target: string, kind: MountPoint['kind'], found: Stats | undefined): void {
  if (found === undefined || found.isDirectory() === (kind === 'dir')) return;
  const [what, there] = kind === 'dir' ? ['a directory', 'a file'] : ['a file', 'a directory'];
  throw new KilnError('STEP_FAILED', `cannot mount ${what} on ${target}: it is ${there} in the image`, {
    hint: 'choose another target',
  });
}

/** Of a path below the root, what does not exist, outermost first. */
function missingParts(path: string, rootfs: string): readonly string[] {
  const missing: string[] = [];
  for (let at = path; at !== rootfs && at.startsWith(`${rootfs}/`) && look(at) === undefined; at = dirname(at))
    missing.unshift(at);
  return missing;
}

function hasRealParents(path: string, rootfs: string): boolean {
  for (let at = dirname(path); at !== rootfs; at = dirname(at)) if (look(at)?.isDirectory() !== true) return false;
  return true;
}

function make(path: string, { kind, mode = 0o755 }: Omit<MountPoint, 'target'>, { uid, gid }: StubOptions): void {
  if (kind === 'dir') {
    mkdirSync(path);
    chmodSync(path, mode);
  } else closeSync(openSync(path, 'wx', 0o644));
  chownSync(path, uid, gid);
}

function removeIfEmpty(path: string): void {
  const stat = look(path);
  if (stat?.isDirectory() === true) {
    if (readdirSync(path).length === 0) rmdirSync(path);
  } else if (stat?.isFile() === true && stat.size === 0) {
    unlinkSync(path);
  }
}

function keepingTimes(dir: string, change: () => void): void {
  const before = look(dir);
  change();
  if (before?.isDirectory() === true && look(dir) !== undefined)
    utimesSync(dir, before.atimeMs / 1000, before.mtimeMs / 1000);
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
