import { type Digest } from '#oci';
import { hashFile, onDisk } from '#snapshot';
import { type Pack, type PackedEntry, type PackedTree, sameEntry, withPacksOf } from './packed-tree.ts';
import { type PackFile, PackWriter, type Place } from './pack-writer.ts';
import { settledMark, type TooLarge, walkDirectory, type WalkOptions } from './walk-directory.ts';

export interface ScanOptions extends WalkOptions {
  /** what the directory was when it was scanned or made last: unchanged files are not read, packed ones not packed again */
  readonly known: PackedTree;
  /** packs that are not there any more */
  readonly lost?: ReadonlySet<Digest> | undefined;
  /** where new packs are written; without it nothing is packed */
  readonly packsDir?: string | undefined;
}

export interface Scanned {
  readonly tree: PackedTree;
  readonly newPacks: readonly PackFile[];
  /** whether anything but times of directories differs from what is known */
  readonly changed: boolean;
}

/** A pack is kept while half of it is used, and as long as there are not too many small ones. */
const SMALL_PACK_BYTES = 1024 * 1024;
const MAX_SMALL_PACKS = 32;

/** A directory as it is, which nobody changes meanwhile. It reads what changed, and blocks: call it in a worker. */
export async function scanDirectory(options: ScanOptions): Promise<Scanned | TooLarge> {
  const { dir, known, lost = new Set(), packsDir } = options;
  const found = walkDirectory(options);
  if ('tooLarge' in found) return found;
  const entries = new Map<string, PackedEntry>();
  const firstNames = new Map<string, string>();
  for (const { ino, ...entry } of found) {
    if (entry.type !== 'file') {
      entries.set(entry.path, entry);
      continue;
    }
    const before = known.entries.get(entry.path);
    const digest = before?.seen === entry.seen ? before?.digest : undefined;
    const hardlink = firstNames.get(ino);
    const first = hardlink === undefined ? undefined : entries.get(hardlink);
    if (hardlink === undefined) firstNames.set(ino, entry.path);
    entries.set(entry.path, {
      ...entry,
      digest: digest ?? first?.digest ?? hashFile(onDisk(dir, entry.path)),
      ...(hardlink === undefined ? {} : { hardlink }),
    });
  }
  const places = placesIn(known, entries, lost);
  const newPacks = packsDir === undefined ? [] : await pack(options, packsDir, entries, places);
  const nowMs = Date.now();
  for (const entry of entries.values()) {
    const place = entry.digest === undefined ? undefined : places.get(entry.digest);
    entries.set(entry.path, { ...entry, ...place, seen: settledMark(entry.seen, nowMs) });
  }
  const tree = withPacksOf(entries, [known.packs, new Map(newPacks.map(({ file: _, ...own }) => [own.digest, own]))]);
  return { tree, newPacks, changed: differs(tree, known) };
}

/** Files whose bytes are in packs that are worth keeping. */
function placesIn(
  known: PackedTree,
  entries: ReadonlyMap<string, PackedEntry>,
  lost: ReadonlySet<Digest>,
): Map<Digest, Place> {
  const wanted = new Set<Digest>();
  for (const { digest } of entries.values()) if (digest !== undefined) wanted.add(digest);
  const places = new Map<Digest, Place>();
  const used = new Map<Digest, number>();
  for (const { digest, pack: packDigest, at = 0, size = 0 } of known.entries.values()) {
    if (digest === undefined || packDigest === undefined || !wanted.has(digest) || places.has(digest)) continue;
    places.set(digest, { pack: packDigest, at });
    used.set(packDigest, (used.get(packDigest) ?? 0) + size);
  }
  const kept = keptPacks(known, used, lost);
  for (const [digest, place] of places) if (!kept.has(place.pack)) places.delete(digest);
  return places;
}

function keptPacks(
  known: PackedTree,
  used: ReadonlyMap<Digest, number>,
  lost: ReadonlySet<Digest>,
): ReadonlySet<Digest> {
  const isSmall = ({ rawBytes }: Pack): boolean => rawBytes < SMALL_PACK_BYTES;
  const packs = [...known.packs.values()].filter(
    (each) => !lost.has(each.digest) && (used.get(each.digest) ?? 0) * 2 >= each.rawBytes,
  );
  const small = packs.filter(isSmall).length;
  return new Set(packs.filter((each) => small <= MAX_SMALL_PACKS || !isSmall(each)).map(({ digest }) => digest));
}

async function pack(
  { dir }: ScanOptions,
  packsDir: string,
  entries: ReadonlyMap<string, PackedEntry>,
  places: Map<Digest, Place>,
): Promise<readonly PackFile[]> {
  const writer = new PackWriter(packsDir);
  for (const { path, digest, size = 0 } of entries.values()) {
    if (digest === undefined || size === 0 || places.has(digest)) continue;
    await writer.add(onDisk(dir, path), digest, size);
  }
  for (const [digest, place] of writer.finish()) places.set(digest, place);
  return writer.packs;
}

function differs(tree: PackedTree, known: PackedTree): boolean {
  if (tree.entries.size !== known.entries.size) return true;
  for (const entry of tree.entries.values()) if (!sameEntry(entry, known.entries.get(entry.path))) return true;
  return false;
}
