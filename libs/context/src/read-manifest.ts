import { comparePaths, entryJson, ListReader, parentOf, type TreeEntry } from '#content';
import { type Digest, digestOf } from '#oci';
import { type Bytes, KilnError } from '#std';
import { DigestTable } from './digest-table.ts';
import { checkEntry, type ContextManifest, manifestFormat, refuseEntry } from './manifest.ts';
import { Slice } from './slice.ts';

export interface ManifestReading {
  /** of the manifest as it is read */
  readonly maxBytes: number;
  /** called with each entry, in order, once it has been checked; what it throws ends the reading */
  readonly onEntry?: ((entry: TreeEntry) => void) | undefined;
}

/** Bytes of the manifest that are made before they are handed on. */
const CHUNK_BYTES = 64 * 1024;

/**
 * A manifest's canonical bytes, of one that is read: what encodeManifest(decodeManifest(bytes)) is, and refused where that is
 * refused, but never held as a whole, and never at work for more than a few milliseconds at a time. What is kept of a file is
 * what a further name of it is compared with.
 * @throws KilnError INVALID_ARGUMENT, CONTEXT_INVALID as decodeManifest does, LIMIT_EXCEEDED
 */
export async function* readManifest(source: Bytes, { maxBytes, onEntry }: ManifestReading): Bytes {
  const reader = new ListReader(manifestFormat);
  const order = new EntryOrder();
  const slice = new Slice();
  const out = new Chunks();
  let size = 0;
  for await (const chunk of source) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new KilnError('LIMIT_EXCEEDED', `the manifest is longer than ${maxBytes} bytes`);
    for (const entry of reader.read(chunk)) {
      order.check(entry);
      onEntry?.(entry);
      const full = out.add(entryJson(entry));
      if (full !== undefined) yield full;
      const pause = slice.pause();
      if (pause !== undefined) await pause;
    }
  }
  reader.end();
  yield out.rest();
}

/** A manifest's canonical bytes, in chunks and slices as {@link readManifest} gives them. */
export async function* manifestBytes({ entries }: ContextManifest): Bytes {
  const slice = new Slice();
  const out = new Chunks();
  for (const entry of entries) {
    const full = out.add(entryJson(entry));
    if (full !== undefined) yield full;
    const pause = slice.pause();
    if (pause !== undefined) await pause;
  }
  yield out.rest();
}

/** Lines of a manifest, put together. */
class Chunks {
  #lines: string[] = [manifestFormat.header];
  #length = 0;

  add(line: string): Buffer | undefined {
    this.#lines.push(line);
    this.#length += line.length;
    return this.#length >= CHUNK_BYTES ? this.rest() : undefined;
  }

  rest(): Buffer {
    const bytes = Buffer.from(this.#lines.map((line) => `${line}\n`).join(''), 'utf8');
    this.#lines = [];
    this.#length = 0;
    return bytes;
  }
}

/** What makeManifest wants of entries that come in order: every one in a directory before it, every further name of a file before it. */
class EntryOrder {
  /** the directories above the last entry */
  readonly #above = [''];
  /** those that a further name may be of: path, mode and content in one digest, of which half a million take little */
  readonly #files = new DigestTable();
  #before: string | undefined;

  check(entry: TreeEntry): void {
    checkEntry(entry);
    const order = this.#before === undefined ? -1 : comparePaths(this.#before, entry.path);
    if (order === 0) throw refuseEntry(entry, 'is there twice');
    if (order > 0) throw new KilnError('INVALID_ARGUMENT', `${manifestFormat.what}: its entries are out of order`);
    this.#before = entry.path;
    const parent = parentOf(entry.path);
    while (this.#above.length > 1 && this.#above.at(-1) !== parent) this.#above.pop();
    if (this.#above.at(-1) !== parent) throw refuseEntry(entry, 'lies in something that is no directory');
    if (entry.type === 'dir') this.#above.push(entry.path);
    if (entry.type !== 'file') return;
    if (entry.hardlink === undefined) this.#files.add(likenessOf(entry.path, entry), 0);
    else if (this.#files.get(likenessOf(entry.hardlink, entry)) === undefined)
      throw refuseEntry(entry, `is no other name of ${JSON.stringify(entry.hardlink)}`);
  }
}

/** The same for a file and what may be called a further name of it. */
const likenessOf = (path: string, { mode, digest }: TreeEntry): Digest => digestOf([mode, digest, path].join(' '));
