import type { BlobInfo, ContentStore, TreeEntry } from '#content';
import { comparePaths, impliedDirectory, parentOf } from '#content';
import type { Digest } from '#oci';
import { type Bytes, collect, single } from '#std';
import { type ContextManifest, EntryChecks } from './manifest.ts';
import { Archive, tooLarge } from './archive.ts';
import { PutWindow } from './put-window.ts';
import { Slice, sortInSlices } from './slice.ts';
import { type ArchiveEntry, invalidEntry, readHeader } from './tar-header.ts';

/** What a farm takes from one client. */
export interface ContextLimits {
  readonly maxFiles: number;
  /** of the archive, unpacked */
  readonly maxBytes: number;
  readonly maxPathBytes: number;
  /** the archive need not have an end, as long as no file is cut off; by default it must */
  readonly mayLackEnd?: boolean | undefined;
}

export interface IngestedContext {
  readonly manifest: ContextManifest;
  /** the blobs that the manifest names, with their sizes in bytes */
  readonly digests: ReadonlyMap<Digest, number>;
  /** as sent, compressed or not */
  readonly bytesReceived: number;
}

/** Files up to this size are held in memory, so that many of them can be stored at once: 16 MiB at most. */
const SMALL_BYTES = 1024 * 1024;
const WIDTH = 16;
/** An archive may have files anew that it had before, as often on average. */
const MAX_TIMES = 2;

interface Slot {
  entry: TreeEntry;
  /** file: what it holds, once that is stored; shared by all its names */
  readonly content?: { info: BlobInfo | undefined };
}

/** The files of an archive as they come; nothing touches a disk but blobs by digest. */
class Ingest {
  readonly #slots = new Map<string, Slot>();
  readonly #puts = new PutWindow(WIDTH);
  readonly #store: ContentStore;
  readonly #limits: ContextLimits;
  readonly #signal: AbortSignal | undefined;
  #seen = 0;

  constructor(store: ContentStore, limits: ContextLimits, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#limits = limits;
    this.#signal = signal;
  }

  async add(header: unknown, bytes: Bytes): Promise<void> {
    if (++this.#seen > this.#limits.maxFiles * MAX_TIMES) throw tooLarge(`${this.#limits.maxFiles} files`);
    const found = readHeader(header, this.#limits.maxPathBytes);
    if (found.path === '') {
      if (found.type !== 'dir') throw invalidEntry('.', 'is the context itself, and no directory');
      return;
    }
    this.#makeParents(found.path);
    const slot = await this.#slotOf(found, bytes);
    // The last of two entries with one name counts, as tar has it.
    this.#slots.delete(found.path);
    this.#slots.set(found.path, slot);
    if (this.#slots.size > this.#limits.maxFiles) throw tooLarge(`${this.#limits.maxFiles} files`);
  }

  async finish(): Promise<Pick<IngestedContext, 'manifest' | 'digests'>> {
    await this.#puts.finish();
    const digests = new Map<Digest, number>();
    // Names of one file share its content; the first in order of paths is the file.
    const first = new Map<object, string>();
    const slots = await sortInSlices([...this.#slots.values()], (a, b) => comparePaths(a.entry.path, b.entry.path));
    const entries: TreeEntry[] = [];
    const checks = new EntryChecks();
    const slice = new Slice();
    for (const slot of slots) {
      const entry = wholeEntry(slot, first);
      if (entry.digest !== undefined) digests.set(entry.digest, entry.size ?? 0);
      checks.add(entry);
      entries.push(entry);
      const pause = slice.pause();
      if (pause !== undefined) await pause;
    }
    return { manifest: { version: 1, entries }, digests };
  }

  /** Waits for what is under way, after a failure. */
  async settle(): Promise<void> {
    await this.#puts.settle();
  }

  #makeParents(path: string): void {
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const type = this.#slots.get(above)?.entry.type;
      if (type === 'dir') return;
      if (type !== undefined) {
        throw invalidEntry(path, `lies below ${JSON.stringify(above)}, which is a ${type} and no directory`);
      }
      this.#slots.set(above, { entry: impliedDirectory(above) });
    }
  }

  async #slotOf(found: ArchiveEntry, source: Bytes): Promise<Slot> {
    const { path, mode, mtime } = found;
    const common = { path, mode, uid: 0, gid: 0, mtime };
    if (found.type === 'hardlink') {
      const other = this.#slots.get(found.link);
      if (other === undefined || other.entry.type === 'dir') {
        throw invalidEntry(path, `is a hard link to ${JSON.stringify(found.link)}, which is no file before it`);
      }
      return { ...other, entry: { ...other.entry, path } };
    }
    if (found.type === 'symlink') return { entry: { ...common, type: 'symlink', link: found.link } };
    if (found.type !== 'file') return { entry: { ...common, type: found.type } };
    // Told by its header: nobody has to read so much first.
    if (found.sizeBytes > this.#limits.maxBytes) throw tooLarge(`${this.#limits.maxBytes} bytes`);
    const content: { info: BlobInfo | undefined } = { info: undefined };
    if (found.sizeBytes > SMALL_BYTES) {
      content.info = await this.#store.put(source, undefined, this.#signal);
    } else {
      const bytes = await collect(source, SMALL_BYTES);
      await this.#puts.add(async () => {
        content.info = await this.#store.put(single(bytes), undefined, this.#signal);
      });
    }
    return { entry: { ...common, type: 'file' }, content };
  }
}

/** @param first of contents that have come, the path of the file that they are */
function wholeEntry({ entry, content }: Slot, first: Map<object, string>): TreeEntry {
  if (content?.info === undefined) return entry;
  const { digest, sizeBytes } = content.info;
  const hardlink = first.get(content);
  if (hardlink === undefined) first.set(content, entry.path);
  return { ...entry, digest, size: sizeBytes, ...(hardlink === undefined ? {} : { hardlink }) };
}

/**
 * Turns a tar (plain, gzip or zstd) into file blobs and a manifest, as it streams. Names are data: nothing is written
 * under one. Hard links are kept among the names of one file; symbolic links are recorded and never followed.
 * @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED; what the source, the store and the signal throw
 */
export async function ingestTar(
  source: Bytes,
  store: ContentStore,
  limits: ContextLimits,
  signal?: AbortSignal,
): Promise<IngestedContext> {
  const archive = new Archive(source, limits, signal);
  const ingest = new Ingest(store, limits, signal);
  try {
    for await (const { header, bytes } of archive.files()) await ingest.add(header, bytes);
    return { ...(await ingest.finish()), bytesReceived: archive.bytesReceived };
  } catch (thrown) {
    await ingest.settle();
    throw archive.explain(thrown);
  }
}
