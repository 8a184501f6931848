import type { BlobInfo, ContentStore, TreeEntry } from '#content';
import { impliedDirectory, parentOf } from '#content';
import type { Digest } from '#oci';
import { type Bytes, collect, isKilnError, KilnError, messageOf, single } from '#std';
import { type Extract, extract } from 'tar-stream';
import { decompress } from './decompress.ts';
import { type ContextManifest, makeManifest } from './manifest.ts';
import { PutWindow } from './put-window.ts';
import { type ArchiveEntry, invalidEntry, readHeader } from './tar-header.ts';

/** What a farm takes from one client. */
export interface ContextLimits {
  readonly maxFiles: number;
  /** of the archive, unpacked */
  readonly maxBytes: number;
  readonly maxPathBytes: number;
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
const BLOCK_BYTES = 512;

/** latin1 keeps a header's names byte by byte; archives older than ustar have no mark of their format. */
const parserOptions = { highWaterMark: 64 * 1024, filenameEncoding: 'latin1', allowUnknownFormat: true };

/** One file of an archive; tar-stream's types leave out that it can be iterated. */
function bytesOf(file: object): Bytes {
  const iterable = (value: object): value is Bytes => Symbol.asyncIterator in value;
  if (iterable(file)) return file;
  throw new KilnError('INTERNAL', 'the tar parser gave no stream');
}

interface Slot {
  entry: TreeEntry;
  /** file: what it holds, once that is stored; shared by all its names */
  readonly content?: { info: BlobInfo | undefined };
}

function tooLarge(what: string): KilnError {
  return new KilnError('LIMIT_EXCEEDED', `the context has more than ${what}`, {
    hint: 'leave out with .dockerignore what the build does not need (.git, node_modules, build output)',
  });
}

/** The files of an archive as they come; nothing touches a disk but blobs by digest. */
class Ingest {
  readonly #slots = new Map<string, Slot>();
  readonly #puts = new PutWindow(WIDTH);
  readonly #store: ContentStore;
  readonly #limits: ContextLimits;
  readonly #signal: AbortSignal | undefined;

  constructor(store: ContentStore, limits: ContextLimits, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#limits = limits;
    this.#signal = signal;
  }

  async add(header: unknown, bytes: Bytes): Promise<void> {
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
    const entries = [...this.#slots.values()].map(({ entry, content }) => {
      if (content?.info === undefined) return entry;
      const { digest, sizeBytes } = content.info;
      digests.set(digest, sizeBytes);
      return { ...entry, digest, size: sizeBytes };
    });
    return { manifest: makeManifest(entries), digests };
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

/** Waits until the parser takes more, or is gone. */
function write(parser: Extract, chunk: Uint8Array): Promise<void> | undefined {
  if (parser.write(chunk)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      parser.off('drain', done);
      parser.off('close', done);
      resolve();
    };
    parser.on('drain', done);
    parser.on('close', done);
  });
}

/** Feeds the parser to its end. Answers what went wrong with the bytes themselves. */
async function feed(parser: Extract, plain: Bytes, maxBytes: number): Promise<{ thrown: unknown } | undefined> {
  try {
    let size = 0;
    let tail = Buffer.alloc(0);
    for await (const chunk of plain) {
      if (parser.destroyed) return undefined;
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge(`${maxBytes} bytes`);
      tail = Buffer.concat([tail, chunk.subarray(-BLOCK_BYTES)]).subarray(-BLOCK_BYTES);
      await write(parser, chunk);
    }
    // An archive that ends between two files looks whole but for the empty block at its end.
    if (tail.length < BLOCK_BYTES || tail.some((byte) => byte !== 0)) {
      throw new KilnError('CONTEXT_INVALID', 'the context archive is cut off: it has no end', {
        hint: 'send it again',
      });
    }
    parser.end(null);
    return undefined;
  } catch (thrown) {
    parser.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
    return { thrown };
  }
}

/**
 * Turns a tar (plain, gzip or zstd) into file blobs and a manifest, as it streams. Names are data: nothing is written
 * under one. Hard links become files with the same content; symbolic links are recorded and never followed.
 * @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED; what the store throws
 */
export async function ingestTar(
  source: Bytes,
  store: ContentStore,
  limits: ContextLimits,
  signal?: AbortSignal,
): Promise<IngestedContext> {
  let bytesReceived = 0;
  const received = async function* (): Bytes {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      bytesReceived += chunk.byteLength;
      yield chunk;
    }
  };
  const ingest = new Ingest(store, limits, signal);
  const parser = extract(parserOptions);
  // Of the archive, not of the store: the two are told apart by who failed first.
  let damage: { readonly cause: unknown } | undefined;
  parser.on('error', (cause: unknown) => {
    damage ??= { cause };
  });
  const feeding = feed(parser, decompress(received()), limits.maxBytes);
  try {
    for await (const file of parser) await ingest.add(file.header, bytesOf(file));
    const failure = await feeding;
    if (failure !== undefined) throw failure.thrown;
    return { ...(await ingest.finish()), bytesReceived };
  } catch (thrown) {
    parser.destroy(null);
    const failure = await feeding;
    await ingest.settle();
    if (failure !== undefined) throw failure.thrown;
    if (damage === undefined || isKilnError(thrown)) throw thrown;
    throw new KilnError('CONTEXT_INVALID', `the context is no whole tar archive: ${messageOf(damage.cause)}`, {
      cause: damage.cause,
    });
  }
}
