import type { Stats } from 'node:fs';
import { chmod, lchown, lstat, mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type IdShift, resolveInRoot } from '#snapshot';
import { type Clock, KilnError, systemCode } from '#std';

/** A mounted root that nobody else changes meanwhile: no process runs in it while files are put there. */
export interface TargetRoot {
  /** where it is mounted */
  readonly path: string;
  readonly shift: IdShift;
  readonly clock: Clock;
}

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
}

/** `lstat`, or undefined for what is not there. */
export async function lookAt(path: string | Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return undefined;
    throw thrown;
  }
}

export async function own(root: TargetRoot, path: string | Buffer, { uid, gid }: Ownership): Promise<void> {
  await lchown(path, uid + root.shift.uid, gid + root.shift.gid);
}

/**
 * Makes an absolute path of the image a directory, parents included; links are followed inside of the root. What exists
 * is left as it is.
 * @returns where the directory is on this node
 * @throws KilnError STEP_FAILED when something on the way is no directory
 */
export async function makeDirs(
  root: TargetRoot,
  path: string,
  made: Ownership & { readonly mode: number },
): Promise<string> {
  const resolved = await resolveInRoot(root.path, path, { followLast: true });
  let current = root.path;
  for (const name of relative(root.path, resolved).split('/').filter(Boolean)) {
    current = join(current, name);
    const found = await lookAt(current);
    if (found === undefined) {
      await mkdir(current);
      await own(root, current, made);
      // The process' umask has no say in an image.
      await chmod(current, made.mode);
    } else if (!found.isDirectory()) {
      throw new KilnError(
        'STEP_FAILED',
        `cannot make the directory ${path}: /${relative(root.path, current)} is not a directory`,
        { hint: 'name another directory, or remove what is there in an earlier step' },
      );
    }
  }
  return current;
}
