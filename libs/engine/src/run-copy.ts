import { lutimes } from 'node:fs/promises';
import { encodePath, type Tree, type TreeEntry } from '#content';
import { type Selection, selectSources } from '#context';
import type { CopyOp } from '#graph';
import { resolveInRoot } from '#snapshot';
import { KilnError } from '#std';
import { fileOwner } from './accounts.ts';
import { copyEntry, type CopySource } from './copy-entry.ts';
import { lookAt, makeDirs, type Ownership, type TargetRoot } from './rooted-files.ts';
import { readRootFile } from './run-exec.ts';

export interface CopyRun {
  readonly op: CopyOp;
  /** the source's files */
  readonly tree: Tree;
  readonly root: TargetRoot;
  readonly from: CopySource;
  readonly signal: AbortSignal;
}

/**
 * COPY and ADD of files: what the patterns select goes to `dest`; the contents of a directory into it, files under their
 * own names when `dest` is a directory.
 */
export async function runCopy(run: CopyRun): Promise<void> {
  const { op, tree, root } = run;
  const selections = selectSources(tree, op.sources);
  const owner = op.chown === undefined ? undefined : await fileOwner(op.chown, readRootFile(root.path));
  for (const selection of selections) await copySelection(run, selection, owner);
}

async function copySelection(run: CopyRun, selection: Selection, owner: Ownership | undefined): Promise<void> {
  const target = await targetOf(run, selection, owner);
  const placed = new Map<string, Buffer>();
  const directories: { path: Buffer; mtime: number }[] = [];
  for (const entry of selection.entries) {
    run.signal.throwIfAborted();
    const path = entry.path === '' ? target : Buffer.concat([target, Buffer.from('/'), encodePath(entry.path)]);
    const firstName = entry.hardlink === undefined ? undefined : placed.get(entry.hardlink);
    const stamped = await copyEntry({
      root: run.root,
      from: run.from,
      sourcePath: sourcePathOf(selection, entry),
      entry,
      target: path,
      firstName,
      owner: owner ?? entry,
      mode: run.op.chmod ?? entry.mode,
      overwriteDirectory: entry.path !== '',
      signal: run.signal,
    });
    if (entry.type === 'file') placed.set(entry.path, path);
    if (stamped) directories.push({ path, mtime: entry.mtime });
  }
  // Last, as what was put into a directory touched it.
  for (const { path, mtime } of directories.reverse()) await lutimes(path, mtime, mtime);
}

function sourcePathOf(selection: Selection, entry: TreeEntry): string {
  if (entry.path === '') return selection.source;
  return selection.source === '' ? entry.path : `${selection.source}/${entry.path}`;
}

/** Where the selection's own entry goes, its parent made. */
async function targetOf(run: CopyRun, selection: Selection, owner: Ownership | undefined): Promise<Buffer> {
  const { op, root } = run;
  const made = { mode: 0o755, ...(owner ?? { uid: 0, gid: 0 }) };
  const first = selection.entries[0];
  if (first === undefined) throw new KilnError('INTERNAL', 'a selection of nothing');
  const slash = op.dest.endsWith('/');
  const dest = op.dest.replace(/\/+$/, '');
  const parent = dest.slice(0, dest.lastIndexOf('/')) || '/';
  const base = dest.slice(dest.lastIndexOf('/') + 1);
  if (first.type === 'dir') {
    if (slash || base === '') return Buffer.from(await makeDirs(root, dest || '/', made));
    return directoryTarget(root, parent, base, made);
  }
  if (slash || base === '') return joinName(await makeDirs(root, dest || '/', made), selection.name);
  const inParent = joinName(await makeDirs(root, parent, made), base);
  const found = await lookAt(inParent);
  if (found?.isDirectory()) return joinName(inParent.toString(), selection.name);
  if (found?.isSymbolicLink() && (await linksToDirectory(root, dest)))
    return joinName(await makeDirs(root, dest, made), selection.name);
  return inParent;
}

/** A directory copied to a name without slash: that name, a link to a directory followed. */
async function directoryTarget(
  root: TargetRoot,
  parent: string,
  base: string,
  made: Ownership & { mode: number },
): Promise<Buffer> {
  const target = joinName(await makeDirs(root, parent, made), base);
  const found = await lookAt(target);
  return found?.isSymbolicLink() ? Buffer.from(await makeDirs(root, `${parent}/${base}`, made)) : target;
}

async function linksToDirectory(root: TargetRoot, dest: string): Promise<boolean> {
  const found = await lookAt(await resolveInRoot(root.path, dest, { followLast: true }));
  return found?.isDirectory() ?? false;
}

function joinName(directory: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), encodePath(name)]);
}
