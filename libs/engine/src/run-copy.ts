import { lutimes } from 'node:fs/promises';
import { posix, relative } from 'node:path';
import { encodePath, type Tree } from '#content';
import type { Selection } from '#context';
import type { CopyOp, InlineFile } from '#graph';
import type { Digest } from '#oci';
import { resolveInRoot } from '#snapshot';
import { KilnError } from '#std';
import { fileOwner } from './accounts.ts';
import { type ArchiveFile, isArchive, unpackArchive } from './archive.ts';
import { copyEntry, type CopySource, openBytes } from './copy-entry.ts';
import { type CopyMode, copyMode } from './copy-mode.ts';
import { lookAt, makeDirs, type Ownership, type TargetRoot } from './rooted-files.ts';
import { readRootFile } from './run-exec.ts';
import { selectCopied } from './select-copied.ts';

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

/** What holds for everything that one instruction copies. */
interface Copying {
  readonly op: CopyOp;
  readonly root: TargetRoot;
  readonly signal: AbortSignal;
  /** undefined: as the sources have it */
  readonly owner: Ownership | undefined;
  readonly mode: CopyMode;
  /** owner and mode of directories that are needed and not there */
  readonly made: Ownership & { readonly mode: number };
}

/**
 * COPY and ADD of files: what the patterns select goes to `dest`; the contents of a directory into it, files under their
 * own names when `dest` is a directory. ADD unpacks archives into `dest`.
 */
export async function runCopy({ op, sources, root, signal }: CopyRun): Promise<void> {
  const owner = op.chown === undefined ? undefined : await fileOwner(op.chown, readRootFile(root.path));
  const mode = copyMode(op.chmod);
  const made = { mode: mode.made, ...(owner ?? { uid: 0, gid: 0 }) };
  const copying = { op, root, signal, owner, mode, made };
  for (const part of op.from) {
    const source = sources.get(part.input);
    if (source === undefined) throw new KilnError('INTERNAL', `the input ${part.input} of a copy is not there`);
    const selections = selectCopied(source.tree, op, part.patterns);
    if ('sent' in source.from) await source.from.sent.bring(selections.flatMap(contentsOf));
    for (const selection of selections) {
      const archive = part.unpack === true ? archiveOf(selection, source.from, signal) : undefined;
      if (archive !== undefined && (await isArchive(archive, signal))) await unpackInto(copying, archive);
      else await copySelection(copying, source.from, selection);
    }
  }
  for (const file of op.inline ?? []) await writeInline(copying, file);
}

/** The digests of what a selection's files hold. */
export function contentsOf({ entries }: Selection): readonly Digest[] {
  return entries.flatMap(({ digest }) => digest ?? []);
}

async function writeInline({ op, root, signal, mode, made, owner }: Copying, file: InlineFile): Promise<void> {
  const bytes = Buffer.from(file.text);
  const mtime = root.clock.nowMs() / 1000;
  const ids = owner ?? { uid: 0, gid: 0 };
  const entry = { path: file.name, type: 'file', mode: 0o644, ...ids, size: bytes.length, mtime } as const;
  const target = await fileTarget(root, op.dest, file.name, made);
  const from = { bytes };
  await copyEntry({ root, from, sourcePath: '', entry, target, owner: ids, mode: mode.of(entry), signal });
}

/** What may be an archive: a regular file, by itself. */
function archiveOf(
  { directory, entries, resolved, source }: Selection,
  from: CopySource,
  signal: AbortSignal,
): ArchiveFile | undefined {
  const [entry] = entries;
  if (directory || entry?.type !== 'file') return undefined;
  return { name: source, open: () => openBytes(entry, from, resolved, signal) };
}

/** --chmod does not reach what is unpacked, nor the directories that are made for it. */
async function unpackInto({ op, root, signal, made, owner }: Copying, archive: ArchiveFile): Promise<void> {
  const directory = await makeDirs(root, op.dest, { ...made, mode: 0o755 });
  await unpackArchive(archive, { root, directory, owner }, signal);
}

async function copySelection(copying: Copying, from: CopySource, selection: Selection): Promise<void> {
  const { root, op, signal, made, mode } = copying;
  const directory = selection.directory ? await makeDirs(root, op.dest, made) : undefined;
  const placed = new Map<string, Buffer>();
  const stamps: { path: string | Buffer; mtime: number }[] = [];
  // The destination looks like what was copied into it, save its own owner and mode.
  if (directory !== undefined && selection.mtime !== undefined)
    stamps.push({ path: directory, mtime: selection.mtime });
  for (const entry of selection.entries) {
    signal.throwIfAborted();
    const target =
      directory === undefined ? await fileTarget(root, op.dest, entry.path, made) : joinName(directory, entry.path);
    const stamped = await copyEntry({
      root,
      from,
      sourcePath: directory === undefined ? selection.resolved : joined(selection.resolved, entry.path),
      entry,
      target,
      firstName: entry.hardlink === undefined ? undefined : placed.get(entry.hardlink),
      owner: copying.owner ?? entry,
      mode: mode.of(entry),
      onTheWay: selection.onTheWay.has(entry.path),
      signal,
    });
    if (entry.type === 'file') placed.set(entry.path, target);
    if (stamped) stamps.push({ path: target, mtime: entry.mtime });
  }
  // Last, as what was put into a directory touched it.
  for (const { path, mtime } of stamps.reverse()) await lutimes(path, mtime, mtime);
}

const joined = (directory: string, path: string): string => (directory === '' ? path : `${directory}/${path}`);

/** Where a file goes: into `dest` when that is a directory or has to be one, else to that very name. */
async function fileTarget(root: TargetRoot, dest: string, name: string, made: Copying['made']): Promise<Buffer> {
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
