import { closeSync, openSync, readSync } from 'node:fs';
import { baseOf, type DeltaEntry, encodePath, joinPath, parentOf } from '#content';
import { KilnError } from '#std';
import { encodeHeader, endOfTar, padding, type TarHeader } from '#tar';
import { OPAQUE_MARKER, WHITEOUT } from './layer-format.ts';
import { onDisk } from './on-disk.ts';

export interface LayerSource {
  /** the directory that the delta was made from */
  readonly upper: string;
  readonly delta: readonly DeltaEntry[];
  /** called for every piece; throws to stop */
  readonly check?: () => void;
}

const pieceBytes = 256 * 1024;

/**
 * The tar of a layer: reproducible, entries in the delta's order, no names of owners, mtimes in whole seconds. Blocks
 * while it reads files.
 * @throws KilnError STEP_FAILED for a name that layers cannot hold, INTERNAL when a file changed since it was digested
 */
export function* layerTar({ upper, delta, check }: LayerSource): Generator<Uint8Array, void> {
  for (const entry of delta) {
    check?.();
    if (entry.type === 'whiteout') {
      yield marker(joinPath(parentOf(entry.path), WHITEOUT + baseOf(entry.path)));
      continue;
    }
    if (baseOf(entry.path).startsWith(WHITEOUT)) throw reserved(entry.path);
    yield encodeHeader(headerOf(entry));
    if (entry.opaque === true) yield marker(joinPath(entry.path, OPAQUE_MARKER));
    if (entry.type === 'file' && entry.hardlink === undefined)
      yield* body(onDisk(upper, entry.path), entry.size ?? 0, check);
  }
  yield endOfTar;
}

function* body(path: string | Buffer, size: number, check: (() => void) | undefined): Generator<Uint8Array, void> {
  if (size === 0) return;
  const file = openSync(path, 'r');
  try {
    for (let left = size; left > 0; ) {
      check?.();
      const piece = Buffer.allocUnsafeSlow(Math.min(left, pieceBytes));
      const read = readSync(file, piece, 0, piece.length, null);
      if (read === 0) throw new KilnError('INTERNAL', `${path.toString()} became shorter while it was read`);
      left -= read;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(file);
  }
  const rest = padding(size);
  if (rest > 0) yield Buffer.alloc(rest);
}

function headerOf(entry: Exclude<DeltaEntry, { type: 'whiteout' }>): TarHeader {
  const { mode, uid, gid, mtime, device, hardlink, link } = entry;
  const target = hardlink ?? link;
  return {
    name: entry.path === '' ? Buffer.from('./') : encodePath(entry.path),
    type: hardlink === undefined ? entry.type : 'link',
    mode,
    uid,
    gid,
    mtime,
    size: hardlink === undefined ? (entry.size ?? 0) : 0,
    ...(target === undefined ? {} : { link: encodePath(target) }),
    ...(device ?? {}),
    ...(entry.xattrs === undefined || hardlink !== undefined ? {} : { xattrs: decoded(entry.xattrs) }),
  };
}

const decoded = (xattrs: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> =>
  new Map(Object.entries(xattrs).map(([name, base64]) => [name, Buffer.from(base64, 'base64')]));

/** An empty file that only its name matters of. */
const marker = (path: string): Buffer =>
  encodeHeader({ name: encodePath(path), type: 'file', mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 });

function reserved(path: string): KilnError {
  return new KilnError(
    'STEP_FAILED',
    `the step made ${JSON.stringify(`/${path}`)}: layers cannot hold names that begin with ${WHITEOUT}`,
    {
      hint: 'remove or rename the file in the same step; image layers mark deleted files by such names',
    },
  );
}
