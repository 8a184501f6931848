import { createReadStream } from 'node:fs';
import { chmod, link, lutimes, mkdir, rm, symlink } from 'node:fs/promises';
import { type ContentStore, encodePath, type TreeEntry } from '#content';
import { makeNode, writeSparseFile, writeXattrs } from '#snapshot';
import { type Bytes, KilnError, single } from '#std';
import type { SentContent } from './sent-content.ts';
import { lookAt, own, type Ownership, type TargetRoot } from './rooted-files.ts';

/** Where a file's bytes come from: blobs (what the client sent), a mounted tree, or the operation itself. */
export type CopySource =
  | { readonly content: ContentStore; readonly sent: Pick<SentContent, 'bring'> }
  | { readonly path: string }
  | { readonly bytes: Uint8Array };

/** What a file of a mounted tree is read by. */
const READ_BYTES = 1024 * 1024;

export interface EntryCopy {
  readonly root: TargetRoot;
  readonly from: CopySource;
  /** path in the source's tree, with links followed, for reading bytes of a mounted tree */
  readonly sourcePath: string;
  readonly entry: TreeEntry;
  /** where it goes on this node; its parent exists */
  readonly target: Buffer;
  /** where the first name of the same file went, when this is a further one */
  readonly firstName?: Buffer | undefined;
  /** as it shall be, before the shift */
  readonly owner: Ownership;
  readonly mode: number;
  /** a directory that is only there for what lies below: where it exists it keeps its owner and attributes */
  readonly onTheWay?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * Puts one entry in place of what is there; directories merge, and take the entry's owner and mode.
 * @returns whether its mtime is to be set when all is copied (a directory)
 * @throws KilnError STEP_FAILED when a directory meets a file, or the other way round
 */
export async function copyEntry(copy: EntryCopy): Promise<boolean> {
  const { entry, target, root, owner, mode } = copy;
  const found = await lookAt(target);
  if (entry.type === 'dir') {
    if (found !== undefined && !found.isDirectory()) throw clash(entry, 'a directory', 'a file');
    if (found !== undefined && copy.onTheWay === true) {
      // As BuildKit has it: the source's own bits, whatever --chmod says.
      await chmod(target, entry.mode);
      return false;
    }
    if (found === undefined) await mkdir(target);
    await own(root, target, owner);
    await chmod(target, mode);
    setXattrs(copy);
    return true;
  }
  if (found?.isDirectory()) throw clash(entry, 'a file', 'a directory');
  if (found !== undefined) await rm(target);
  if (copy.firstName !== undefined) {
    await link(copy.firstName, target);
    return false;
  }
  await make(copy);
  await own(root, target, owner);
  // chown clears setuid and setgid, so the mode comes after; links have none.
  if (entry.type !== 'symlink') await chmod(target, mode);
  setXattrs(copy);
  await lutimes(target, entry.mtime, entry.mtime);
  return false;
}

async function make({ entry, target, from, sourcePath, signal }: EntryCopy): Promise<void> {
  switch (entry.type) {
    case 'file':
      return writeSparseFile(openBytes(entry, from, sourcePath, signal), target);
    case 'symlink':
      return symlink(encodePath(entry.link ?? ''), target);
    case 'char':
    case 'block':
    case 'fifo':
      makeNode(target, entry);
      return;
    case 'dir':
      throw new KilnError('INTERNAL', 'a directory is not made as a file');
  }
}

/** A file's bytes. @param sourcePath as in {@link EntryCopy} */
export function openBytes(entry: TreeEntry, from: CopySource, sourcePath: string, signal: AbortSignal): Bytes {
  if ('path' in from) {
    const path = Buffer.concat([Buffer.from(`${from.path}/`), encodePath(sourcePath)]);
    return createReadStream(path, { highWaterMark: READ_BYTES, signal });
  }
  if ('bytes' in from) return single(from.bytes);
  if (entry.digest === undefined) throw new KilnError('INTERNAL', `the file ${entry.path} has no digest`);
  return from.content.get(entry.digest, signal);
}

function setXattrs({ entry, target, root }: EntryCopy): void {
  if (entry.type === 'file' || entry.type === 'dir') writeXattrs(target, entry.xattrs ?? {}, root.shift);
}

function clash(entry: TreeEntry, what: string, there: string): KilnError {
  return new KilnError('STEP_FAILED', `cannot copy ${what} over ${there}: ${entry.path}`, {
    hint: 'remove what is there in an earlier step, or copy to another name',
  });
}
