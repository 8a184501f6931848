import { encodePath, impliedDirectory, parentOf, type TreeEntry } from '#content';
import { type Digest, parseDigest } from '#oci';
import { type Clock, systemClock } from '#std';
import { hashFiles } from './hash-files.ts';
import { changedFile, type LocalFile } from './local-file.ts';
import { type ContextManifest, makeManifest } from './manifest.ts';
import type { KnownFiles, StatCache } from './stat-cache.ts';
import { type ContextFile, describe, unreadable, walkContext, type WalkOptions } from './walk-context.ts';

/** A context by its digests, and where their bytes are. */
export interface HashedContext {
  readonly manifest: ContextManifest;
  readonly files: ReadonlyMap<Digest, LocalFile>;
  /** all but directories */
  readonly count: number;
  /** of the files' contents */
  readonly sizeBytes: number;
  /** that were read: the rest was known by the cache */
  readonly hashedBytes: number;
  /** has the cache forget them, where what it said turned out wrong */
  readonly forget: () => Promise<void>;
}

export interface HashOptions extends WalkOptions {
  readonly cache?: StatCache | undefined;
  readonly clock?: Clock | undefined;
}

type Reading = Pick<HashOptions, 'cache' | 'clock' | 'signal'>;

/**
 * Walks a context and digests its files, those alone that the cache does not know.
 * @throws KilnError as {@link walkContext}; CONTEXT_INVALID naming a file that cannot be read, or changed meanwhile
 */
export async function hashContext(directory: string, options: HashOptions = {}): Promise<HashedContext> {
  const found: ContextFile[] = [];
  for await (const file of walkContext(directory, options)) found.push(file);
  return await hashFound(directory, found, options);
}

/**
 * These files of a directory, whatever else is there.
 * @throws KilnError CONTEXT_INVALID naming a file that cannot be read, is none, or changed meanwhile
 */
export async function hashPaths(
  directory: string,
  paths: readonly string[],
  options: Reading = {},
): Promise<HashedContext> {
  const found = paths.map((path) => {
    const file = describe(path, Buffer.concat([Buffer.from(`${directory}/`), encodePath(path)]));
    if (file?.type !== 'file') throw unreadable(path, new Error('it is no file'));
    return file;
  });
  return await hashFound(directory, found, options);
}

async function hashFound(
  directory: string,
  found: readonly ContextFile[],
  { cache, clock = systemClock, signal }: Reading,
): Promise<HashedContext> {
  const known = await cache?.open(directory);
  // Before any of them is read.
  const readAtMs = clock.nowMs();
  const digests = await digestsOf(found, { known, readAtMs, signal });
  await known?.save();
  const files = new Map<Digest, LocalFile>();
  let sizeBytes = 0;
  for (const file of found) {
    const digest = digests.digests.get(file.path);
    if (file.type !== 'file' || digest === undefined) continue;
    sizeBytes += file.sizeBytes;
    if (!files.has(digest)) files.set(digest, file);
  }
  const manifest = makeManifest(withParents(found.map((file) => entryOf(file, digests))));
  const count = manifest.entries.filter(({ type }) => type !== 'dir').length;
  const forget = async (): Promise<void> => cache?.forget(directory);
  return { manifest, files, count, sizeBytes, hashedBytes: digests.hashedBytes, forget };
}

interface Digests {
  /** of files, by path */
  readonly digests: ReadonlyMap<string, Digest>;
  readonly firsts: ReadonlyMap<string, ContextFile>;
  readonly hashedBytes: number;
}

interface Digesting {
  readonly known: KnownFiles | undefined;
  readonly readAtMs: number;
  readonly signal: AbortSignal | undefined;
}

async function digestsOf(found: readonly ContextFile[], { known, readAtMs, signal }: Digesting): Promise<Digests> {
  const digests = new Map<string, Digest>();
  const firsts = new Map<string, ContextFile>();
  const unknown: ContextFile[] = [];
  let hashedBytes = 0;
  for (const file of found) {
    if (file.type !== 'file') continue;
    firsts.set(file.path, file);
    const digest = known?.find(file.path, file.stamp);
    if (digest === undefined) unknown.push(file);
    else digests.set(file.path, digest);
  }
  await hashFiles(
    unknown,
    (file, { sha256, stamp }) => {
      if (stamp?.version !== file.stamp.version) throw changedFile(file.path);
      const digest = parseDigest(`sha256:${sha256}`);
      digests.set(file.path, digest);
      hashedBytes += file.sizeBytes;
      known?.add(file.path, { stamp, digest, readAtMs });
    },
    signal,
  );
  return { digests, firsts, hashedBytes };
}

function entryOf(file: ContextFile, { digests, firsts }: Digests): TreeEntry {
  const { path, mode, mtime, link, sizeBytes: size } = file;
  const common = { path, mode, uid: 0, gid: 0, mtime };
  switch (file.type) {
    case 'dir':
    case 'fifo':
      return { ...common, type: file.type };
    case 'symlink':
      return { ...common, type: 'symlink', link };
    case 'file':
      return { ...common, type: 'file', size, digest: digests.get(path) };
    case 'hardlink': {
      // What all names of a file share was looked at under the first.
      const first = firsts.get(link) ?? file;
      const same = { mode: first.mode, mtime: first.mtime, size: first.sizeBytes };
      return { ...common, ...same, type: 'file', digest: digests.get(link), hardlink: link };
    }
  }
}

/** Directories that were not asked for, but that others lie in. */
function withParents(entries: readonly TreeEntry[]): readonly TreeEntry[] {
  const there = new Set(entries.map(({ path }) => path));
  const implied: TreeEntry[] = [];
  for (const { path } of entries) {
    for (let above = parentOf(path); above !== '' && !there.has(above); above = parentOf(above)) {
      there.add(above);
      implied.push(impliedDirectory(above));
    }
  }
  return [...entries, ...implied];
}
