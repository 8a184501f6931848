import { lutimes } from 'node:fs/promises';
import { posix, relative } from 'node:path';
import { encodePath, type Tree } from '#content';
import { type Selection, selectSources } from '#context';
import type { CopyOp, InlineFile } from '#graph';
import { resolveInRoot } from '#snapshot';
import { KilnError } from '#std';
import { fileOwner } from './accounts.ts';
import { type ArchiveFile, isArchive, unpackArchive } from './archive.ts';
import { copyEntry, type CopySource, openBytes } from './copy-entry.ts';
import { lookAt, makeDirs, type Ownership, type TargetRoot } from './rooted-files.ts';
import { readRootFile } from './run-exec.ts';

/** The files of an input, and where their bytes are. */
export interface SourceTree {
  readonly tree: Tree;
  readonly from: CopySource;
}

export interface CopyRun {
  readonly op: CopyOp;
  /** by number of the input */
  readonly sources: ReadonlyMap<number, SourceTree>;
  readonly root: TargetRoot;
  readonly signal: AbortSignal;
}

/** What is copied from one input. */
interface SourceRun extends CopyRun {
  readonly from: CopySource;
}

/**
 * COPY and ADD of files: what the patterns select goes to `dest`; the contents of a directory into it, files under their
 * own names when `dest` is a directory. ADD unpacks archives into `dest`.
 */
export async function runCopy(run: CopyRun): Promise<void> {
  const { op, sources, root } = run;
  const owner = op.chown === undefined ? undefined : await fileOwner(op.chown, readRootFile(root.path));
  for (const { input, patterns, unpack } of op.from) {
    const source = sources.get(input);
    if (source === undefined) throw new KilnError('INTERNAL', `the input ${input} of a copy is not there`);
    const one = { ...run, from: source.from };
    for (const selection of selectSources(source.tree, patterns)) {
      const archive = unpack === true ? archiveOf(one, selection) : undefined;
      if (archive !== undefined && (await isArchive(archive, run.signal))) await unpackInto(run, archive, owner);
      else await copySelection(one, selection, owner);
    }
  }
  for (const file of op.inline ?? []) await writeInline(run, file, owner ?? { uid: 0, gid: 0 });
}

async function writeInline({ op, root, signal }: CopyRun, file: InlineFile, owner: Ownership): Promise<void> {
  const bytes = Buffer.from(file.text);
  const mtime = root.clock.nowMs() / 1000;
  const mode = modeOf(op, 0o644);
  const entry = { path: file.name, type: 'file', mode, ...owner, size: bytes.length, mtime } as const;
  const target = await fileTarget(root, op.dest, file.name, madeOnTheWay(op, owner));
  await copyEntry({ root, from: { bytes }, sourcePath: '', entry, target, owner, mode, signal });
}

/** What may be an archive: a regular file, by itself. */
function archiveOf(
  { from, signal }: SourceRun,
  { directory, entries, resolved, source }: Selection,
): ArchiveFile | undefined {
  const [entry] = entries;
  if (directory || entry?.type !== 'file') return undefined;
  return { name: source, open: () => openBytes(entry, from, resolved, signal) };
}

async function unpackInto(
  { op, root, signal }: CopyRun,
  archive: ArchiveFile,
  owner: Ownership | undefined,
): Promise<void> {
  const directory = await makeDirs(root, op.dest, madeOnTheWay(op, owner));
  await unpackArchive(archive, { root, directory, owner }, signal);
}

async function copySelection(run: SourceRun, selection: Selection, owner: Ownership | undefined): Promise<void> {
  const { root, op } = run;
  const made = madeOnTheWay(op, owner);
  const directory = selection.directory ? await makeDirs(root, op.dest, made) : undefined;
  const placed = new Map<string, Buffer>();
  const stamps: { path: Buffer; mtime: number }[] = [];
  for (const entry of selection.entries) {
    run.signal.throwIfAborted();
    const target =
      directory === undefined ? await fileTarget(root, op.dest, entry.path, made) : joinName(directory, entry.path);
    const stamped = await copyEntry({
      root,
      from: run.from,
      sourcePath: directory === undefined ? selection.resolved : joined(selection.resolved, entry.path),
      entry,
      target,
      firstName: entry.hardlink === undefined ? undefined : placed.get(entry.hardlink),
      owner: owner ?? entry,
      mode: modeOf(op, entry.mode),
      signal: run.signal,
    });
    if (entry.type === 'file') placed.set(entry.path, target);
    if (stamped) stamps.push({ path: target, mtime: entry.mtime });
  }
  // Last, as what was put into a directory touched it.
  for (const { path, mtime } of stamps.reverse()) await lutimes(path, mtime, mtime);
}

/** Owner and mode of directories that a copy needs and does not find; --chmod is for them too. */
function madeOnTheWay(op: CopyOp, owner: Ownership | undefined): Ownership & { readonly mode: number } {
  return { mode: modeOf(op, 0o755), ...(owner ?? { uid: 0, gid: 0 }) };
}

function modeOf({ chmod }: CopyOp, mode: number): number {
  if (typeof chmod === 'string') throw new KilnError('INTERNAL', 'a symbolic mode');
  return chmod ?? mode;
}

const joined = (directory: string, path: string): string => (directory === '' ? path : `${directory}/${path}`);

/** Where a file goes: into `dest` when that is a directory or has to be one, else to that very name. */
async function fileTarget(
  root: TargetRoot,
  dest: string,
  name: string,
  made: Ownership & { mode: number },
): Promise<Buffer> {
  const bare = dest.replace(/\/+$/, '');
  if (bare !== dest || (await isDirectory(root, bare))) return joinName(await makeDirs(root, bare || '/', made), name);
  // A link as the destination is followed, and its target replaced.
  const target = `/${relative(root.path, await resolveInRoot(root.path, bare, { followLast: true }))}`;
  return joinName(await makeDirs(root, posix.dirname(target), made), posix.basename(target));
}

async function isDirectory(root: TargetRoot, path: string): Promise<boolean> {
  const found = await lookAt(await resolveInRoot(root.path, path, { followLast: true }));
  return found?.isDirectory() ?? false;
}

function joinName(directory: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), encodePath(name)]);
}
