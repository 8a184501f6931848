import { posix } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { baseOf, type DeltaEntry, joinPath, parentOf } from '#content';
import { type Bytes, isKilnError, KilnError, messageOf, systemCode } from '#std';
import { readTar, type TarEntry } from '#tar';
import { OPAQUE_MARKER, WHITEOUT } from './layer-format.ts';
import { asText } from './on-disk.ts';
import type { IdShift } from './snapshotter.ts';
import { UnpackRoot } from './unpack-root.ts';

export interface ApplyRequest {
  /** uncompressed */
  readonly tar: Bytes;
  /** the mounted, writable view of the snapshot that the layer goes to; nobody else changes it meanwhile */
  readonly root: string;
  readonly shift: IdShift;
}

export interface UnpackRequest extends ApplyRequest {
  /** of everything that is unpacked, in place of what the archive says */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** The event loop is for heartbeats too: it gets a turn this often. */
const turnMs = 8;

type PlaceEntry = (target: UnpackRoot, path: string, entry: TarEntry) => Promise<void>;

/**
 * Unpacks a layer on top of what `root` shows, as the OCI image specification says: whiteouts remove, a directory merges
 * with a directory, all else replaces. Whatever names and links the archive has, nothing outside of `root` is touched:
 * each parent is resolved inside of it, and nothing is written through a link.
 * @returns what the layer does, in order of paths
 * @throws KilnError BLOB_CORRUPT when it is no such archive; what the source throws
 */
export async function applyLayer(request: ApplyRequest): Promise<readonly DeltaEntry[]> {
  const target = await placeAll(request, placeOfLayer);
  return target.delta.entries();
}

/**
 * Unpacks an archive that is no layer into a directory, taken as its root: as {@link applyLayer}, but names of whiteouts
 * are names like others, and the directory itself keeps its owner, mode and mtime.
 * @throws KilnError BLOB_CORRUPT when it is no such archive; what the source throws
 */
export async function unpackTar({ owner, ...request }: UnpackRequest): Promise<void> {
  await placeAll(request, async (target, path, { header, body }) => {
    if (path === '') return;
    await target.place(joinPath(target.parent(parentOf(path)), baseOf(path)), { ...header, ...owner }, body);
  });
}

async function placeAll({ tar, root, shift }: ApplyRequest, place: PlaceEntry): Promise<UnpackRoot> {
  const target = new UnpackRoot(root, shift);
  let turnAtMs = performance.now() + turnMs;
  for await (const entry of readTar(tar)) {
    const name = asText(entry.header.name);
    try {
      // Taken as absolute, so that `..` ends at the root.
      await place(target, posix.normalize(`/${name}`).replace(/^\/+|\/+$/g, ''), entry);
    } catch (thrown) {
      if (isKilnError(thrown) || !refusals.has(systemCode(thrown) ?? '')) throw thrown;
      const message = `the entry ${JSON.stringify(name)} cannot be unpacked: ${messageOf(thrown)}`;
      throw new KilnError('BLOB_CORRUPT', message, { cause: thrown });
    }
    if (performance.now() < turnAtMs) continue;
    await yieldToOthers();
    turnAtMs = performance.now() + turnMs;
  }
  target.finish();
  return target;
}

async function placeOfLayer(target: UnpackRoot, path: string, { header, body }: TarEntry): Promise<void> {
  if (path === '') return header.type === 'dir' ? target.dir('', header) : undefined;
  const parent = target.parent(parentOf(path));
  const base = baseOf(path);
  if (base === OPAQUE_MARKER) return await target.makeOpaque(parent);
  // Other names of this kind are AUFS's own notes.
  if (base.startsWith(WHITEOUT + WHITEOUT)) return;
  if (base.startsWith(WHITEOUT)) return await target.whiteout(joinPath(parent, hiddenName(base)));
  await target.place(joinPath(parent, base), header, body);
}

/** What the kernel says to entries that make no sense; a full disk, for one, is not the layer's fault. */
const refusals = new Set([
  'ENOTDIR',
  'ENOENT',
  'EEXIST',
  'EISDIR',
  'ENAMETOOLONG',
  'EINVAL',
  'ELOOP',
  'EPERM',
  'ERR_INVALID_ARG_VALUE',
]);

function hiddenName(base: string): string {
  const name = base.slice(WHITEOUT.length);
  if (name === '' || name === '.' || name === '..')
    throw new KilnError('BLOB_CORRUPT', `a layer has the whiteout ${base}`);
  return name;
}
