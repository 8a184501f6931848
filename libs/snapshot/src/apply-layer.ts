import { posix } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { baseOf, type DeltaEntry, joinPath, parentOf } from '#content';
import { type Bytes, isKilnError, KilnError, messageOf, systemCode } from '#std';
import { OPAQUE_MARKER, WHITEOUT } from './layer-format.ts';
import { asText } from './on-disk.ts';
import type { IdShift } from './snapshotter.ts';
import { readTar, type TarEntry } from './tar-reader.ts';
import { UnpackRoot } from './unpack-root.ts';

export interface ApplyRequest {
  /** uncompressed */
  readonly tar: Bytes;
  /** the mounted, writable view of the snapshot that the layer goes to; nobody else changes it meanwhile */
  readonly root: string;
  readonly shift: IdShift;
}

/** The event loop is for heartbeats too: it gets a turn this often. */
const turnMs = 8;

/**
 * Unpacks a layer on top of what `root` shows, as the OCI image specification says: whiteouts remove, a directory merges
 * with a directory, all else replaces. Whatever names and links the archive has, nothing outside of `root` is touched:
 * each parent is resolved inside of it, and nothing is written through a link.
 * @returns what the layer does, in order of paths
 * @throws KilnError BLOB_CORRUPT when it is no such archive; what the source throws
 */
export async function applyLayer({ tar, root, shift }: ApplyRequest): Promise<readonly DeltaEntry[]> {
  const target = new UnpackRoot(root, shift);
  let turnAtMs = performance.now() + turnMs;
  for await (const entry of readTar(tar)) {
    await applyEntry(target, entry);
    if (performance.now() < turnAtMs) continue;
    await yieldToOthers();
    turnAtMs = performance.now() + turnMs;
  }
  target.finish();
  return target.delta.entries();
}

async function applyEntry(target: UnpackRoot, { header, body }: TarEntry): Promise<void> {
  const name = asText(header.name);
  // Taken as absolute, so that `..` ends at the root.
  const path = posix.normalize(`/${name}`).replace(/^\/+|\/+$/g, '');
  try {
    if (path === '') return header.type === 'dir' ? target.dir('', header) : undefined;
    const parent = target.parent(parentOf(path));
    const base = baseOf(path);
    if (base === OPAQUE_MARKER) return await target.makeOpaque(parent);
    // Other names of this kind are AUFS's own notes.
    if (base.startsWith(WHITEOUT + WHITEOUT)) return;
    if (base.startsWith(WHITEOUT)) return await target.whiteout(joinPath(parent, hiddenName(base)));
    await target.place(joinPath(parent, base), header, body);
  } catch (thrown) {
    if (isKilnError(thrown) || !refusals.has(systemCode(thrown) ?? '')) throw thrown;
    throw new KilnError(
      'BLOB_CORRUPT',
      `a layer's entry ${JSON.stringify(name)} cannot be unpacked: ${messageOf(thrown)}`,
      {
        cause: thrown,
      },
    );
  }
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
