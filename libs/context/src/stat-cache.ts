import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, hexOf, isDigest } from '#oci';
import { type Random, randomId } from '#std';
import type { FileStamp } from './file-stamp.ts';

export interface StatCacheOptions {
  /** a directory of its own, made when something is kept */
  readonly directory: string;
  readonly random: Random;
  /** of all its files together; those written least recently go first. 64 MiB by default */
  readonly maxBytes?: number | undefined;
  readonly maxEntries?: number | undefined;
}

/** Clocks of file systems are coarse: what changed this shortly before it was read may have changed again since, unseen. */
const RACY_NS = 2_000_000_000n;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_ENTRIES = 500_000;
const HEADER = 'kiln stat cache 1';
/** Beside those that are of use: other Dockerfiles of the same directory leave out other files. */
const SPARE_ENTRIES = 1_000;
/** What a writer that died has left. */
const LEFTOVER_MS = 60 * 60_000;

/**
 * Digests of files that were read before, by all that the file system says of them; a file for each directory that was
 * built. It saves reading: without it, or where it is damaged, all is read again.
 */
export class StatCache {
  readonly #options: StatCacheOptions;

  constructor(options: StatCacheOptions) {
    this.#options = options;
  }

  /** What is known of a directory's files. */
  async open(root: string): Promise<KnownFiles> {
    const { directory, maxEntries = MAX_ENTRIES, maxBytes = MAX_BYTES } = this.#options;
    const path = join(directory, hexOf(digestOf(root)));
    const text = await readOwn(path, maxBytes);
    const entries = text === undefined ? undefined : parse(text, root);
    const write = (kept: ReadonlyMap<string, Entry>): Promise<void> => this.#write(path, format(root, kept, maxBytes));
    return new KnownFiles({ entries: entries ?? new Map<string, Entry>(), maxEntries, write });
  }

  /** Forgets a directory. */
  async forget(root: string): Promise<void> {
    await rm(join(this.#options.directory, hexOf(digestOf(root))), { force: true });
  }

  async #write(path: string, text: string): Promise<void> {
    const { directory, random } = this.#options;
    const beside = `${path}.${randomId(random, 8)}`;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeFile(beside, text, { mode: 0o600, flag: 'wx' });
      await rename(beside, path);
      await this.#prune();
    } catch {
      // It costs a little time at the next build, and is nothing to tell of.
      await rm(beside, { force: true }).catch(() => undefined);
    }
  }

  async #prune(): Promise<void> {
    const { directory, maxBytes = MAX_BYTES } = this.#options;
    const looked = (await readdir(directory)).map(async (name) => {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      return found === undefined ? [] : [{ path, name, size: found.size, mtimeMs: found.mtimeMs }];
    });
    const files = (await Promise.all(looked)).flat().sort((a, b) => b.mtimeMs - a.mtimeMs);
    const newestMs = files[0]?.mtimeMs ?? 0;
    let total = 0;
    for (const { path, name, size, mtimeMs } of files) {
      total += size;
      const leftover = name.includes('.') && newestMs - mtimeMs > LEFTOVER_MS;
      if (total > maxBytes || leftover) await rm(path, { force: true });
    }
  }
}

interface Entry {
  /** see {@link stampText} */
  readonly stamp: string;
  readonly digest: Digest;
}

interface KnownOptions {
  readonly entries: Map<string, Entry>;
  readonly maxEntries: number;
  readonly write: (entries: ReadonlyMap<string, Entry>) => Promise<void>;
}

const stampText = ({ version, ctimeNs }: FileStamp): string => `${version} ${ctimeNs}`;

/** Of one directory, by the path in it. */
export class KnownFiles {
  readonly #options: KnownOptions;
  /** in use now, the latest last */
  readonly #used = new Map<string, Entry>();
  #changed = false;

  constructor(options: KnownOptions) {
    this.#options = options;
  }

  /** Undefined unless the file is, by all that can be seen, the very one that was read. */
  find(path: string, stamp: FileStamp): Digest | undefined {
    const entry = this.#options.entries.get(path);
    if (entry === undefined || entry.stamp !== stampText(stamp)) return undefined;
    this.#used.set(path, entry);
    return entry.digest;
  }

  /** A file that was read from `readAtMs` on; one that had just changed then is not kept. */
  add(path: string, { stamp, digest, readAtMs }: { stamp: FileStamp; digest: Digest; readAtMs: number }): void {
    const settledNs = BigInt(Math.floor(readAtMs)) * 1_000_000n - RACY_NS;
    if (stamp.mtimeNs >= settledNs || stamp.ctimeNs >= settledNs) return;
    this.#used.set(path, { stamp: stampText(stamp), digest });
    this.#changed = true;
  }

  /** Keeps what was found and added. What goes wrong is left out: the next build reads more files. */
  async save(): Promise<void> {
    if (!this.#changed) return;
    const { entries, maxEntries, write } = this.#options;
    const kept = new Map([...this.#used].slice(-maxEntries));
    const limit = Math.min(maxEntries, 2 * kept.size + SPARE_ENTRIES);
    for (const [path, entry] of entries) {
      if (kept.size >= limit) break;
      if (!kept.has(path)) kept.set(path, entry);
    }
    await write(kept);
  }
}

/** Lines of `stamp digest path`, the path as JSON; the last is the digest of those before, and tells that all is there. */
function format(root: string, entries: ReadonlyMap<string, Entry>, maxBytes: number): string {
  const head = `${HEADER} ${JSON.stringify(root)}\n`;
  const lines = [head];
  let size = head.length + 256;
  for (const [path, { stamp, digest }] of entries) {
    const line = `${stamp} ${hexOf(digest)} ${JSON.stringify(path)}\n`;
    size += Buffer.byteLength(line);
    if (size > maxBytes) break;
    lines.push(line);
  }
  const text = lines.join('');
  return `${text}${digestOf(text)}\n`;
}

const LINE = /^(\d+ \d+ \d+ -?\d+ -?\d+) ([0-9a-f]{64}) (".*")$/s;

function parse(text: string, root: string): Map<string, Entry> | undefined {
  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const body = text.slice(0, end);
  if (!text.endsWith('\n') || text.slice(end, -1) !== digestOf(body)) return undefined;
  const [head, ...lines] = body.slice(0, -1).split('\n');
  if (head !== `${HEADER} ${JSON.stringify(root)}`) return undefined;
  const entries = new Map<string, Entry>();
  for (const line of lines) {
    const [, stamp, hex, json] = LINE.exec(line) ?? [];
    const digest = `sha256:${hex}`;
    if (stamp === undefined || json === undefined || !isDigest(digest)) return undefined;
    const path: unknown = JSON.parse(json);
    if (typeof path !== 'string') return undefined;
    entries.set(path, { stamp, digest });
  }
  return entries;
}

/** A file that nobody else may have written, up to a size. Undefined where it cannot be read, whatever the reason. */
async function readOwn(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await file.stat();
    const mine = stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
    if (!stats.isFile() || !mine || stats.size > maxBytes) return undefined;
    return await file.readFile('utf8');
  } catch {
    return undefined;
  }
}
