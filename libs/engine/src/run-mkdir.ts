import type { MkdirOp } from '#graph';
import { fileOwner } from './accounts.ts';
import { makeDirs, type TargetRoot } from './rooted-files.ts';
import { readRootFile } from './run-exec.ts';

/** WORKDIR: the directory and its missing parents. */
export async function runMkdir(op: MkdirOp, root: TargetRoot): Promise<void> {
  const owner = op.chown === undefined ? { uid: 0, gid: 0 } : await fileOwner(op.chown, readRootFile(root.path));
  await makeDirs(root, op.path, { mode: op.mode, ...owner });
}
