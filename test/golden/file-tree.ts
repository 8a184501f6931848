import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createHash } from 'node:crypto';
import { extract, type Header } from 'tar-stream';
import { z } from 'zod';

/** Text of files up to here is shown, so that a person can read what is expected. */
const SHOWN_BYTES = 200;

export const TreeEntry = z.strictObject({
  type: z.enum(['file', 'dir', 'sym', 'fifo', 'char', 'block']),
  /** octal, four digits */
  mode: z.string(),
  uid: z.int(),
  gid: z.int(),
  size: z.int().optional(),
  sha256: z.string().optional(),
  /** of small files */
  text: z.string().optional(),
  link: z.string().optional(),
  dev: z.string().optional(),
  /** by name, in hexadecimal; without those of the user's own namespace, which BuildKit drops */
  xattrs: z.record(z.string(), z.string()).optional(),
  /** the first name of its group of hard links */
  hardlink_of: z.string().optional(),
  /** seconds; only where a case asks for it */
  mtime: z.int().optional(),
});
export type TreeEntry = z.infer<typeof TreeEntry>;
/** By absolute path; without `/`. */
export type FileTree = Readonly<Record<string, TreeEntry>>;

/** What layers give, one on top of the other. mtimes are there for all. @throws where an archive contradicts itself */
export async function flatten(layers: readonly Buffer[]): Promise<FileTree> {
  const tree = new Map<string, TreeEntry>();
  for (const layer of layers) await apply(layer, tree);
  const names = new Map<TreeEntry, string[]>();
  for (const [path, entry] of tree) names.set(entry, [...(names.get(entry) ?? []), path]);
  const all: [string, TreeEntry][] = [];
  for (const [entry, paths] of names) {
    const [first = ''] = paths.sort();
    for (const path of paths) all.push([path, paths.length > 1 ? { ...entry, hardlink_of: first } : entry]);
  }
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface LayerEntry {
  readonly path: string;
  readonly header: Header;
  readonly entry: TreeEntry;
}

async function apply(layer: Buffer, tree: Map<string, TreeEntry>): Promise<void> {
  const entries = await entriesOf(layer);
  for (const { path } of entries) {
    const name = posix.basename(path);
    if (name === '.wh..wh..opq') removeBelow(tree, posix.dirname(path));
    else if (name.startsWith('.wh.') && !name.startsWith('.wh..wh.')) {
      remove(tree, posix.join(posix.dirname(path), name.slice(4)));
    }
  }
  const seen = new Set<string>();
  for (const { path, header, entry } of entries) {
    if (path === '/' || posix.basename(path).startsWith('.wh.')) continue;
    if (seen.has(path)) throw new Error(`a layer has ${path} twice`);
    seen.add(path);
    makeParents(tree, posix.dirname(path));
    if (header.type === 'link') {
      const target = tree.get(absolute(header.linkname ?? ''));
      if (target === undefined) throw new Error(`${path} is a hard link to ${header.linkname}, which is missing`);
      remove(tree, path);
      tree.set(path, target);
      continue;
    }
    if (entry.type !== 'dir' || tree.get(path)?.type !== 'dir') remove(tree, path);
    tree.set(path, entry);
  }
}

function removeBelow(tree: Map<string, TreeEntry>, path: string): void {
  const prefix = path === '/' ? '/' : `${path}/`;
  for (const name of tree.keys()) if (name.startsWith(prefix)) tree.delete(name);
}

function remove(tree: Map<string, TreeEntry>, path: string): void {
  removeBelow(tree, path);
  tree.delete(path);
}

function makeParents(tree: Map<string, TreeEntry>, path: string): void {
  if (path === '/') return;
  const there = tree.get(path);
  if (there !== undefined && there.type !== 'dir') throw new Error(`something is below ${path}, which is no directory`);
  if (there !== undefined) return;
  makeParents(tree, posix.dirname(path));
  tree.set(path, { type: 'dir', mode: '0755', uid: 0, gid: 0, mtime: 0 });
}

const absolute = (name: string): string => posix.resolve('/', name);
const TYPES: Partial<Record<string, TreeEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'dir',
  symlink: 'sym',
  link: 'file',
  fifo: 'fifo',
  'character-device': 'char',
  'block-device': 'block',
};

async function entriesOf(layer: Buffer): Promise<readonly LayerEntry[]> {
  const all: LayerEntry[] = [];
  const stream = extract();
  Readable.from([layer]).pipe(stream);
  for await (const item of stream) {
    const { header } = item;
    const bytes = await buffer(item);
    all.push({ path: absolute(header.name), header, entry: entryOf(header, bytes) });
  }
  return all;
}

function entryOf(header: Header, bytes: Buffer): TreeEntry {
  const type = TYPES[header.type ?? ''];
  if (type === undefined) throw new Error(`${header.name} is a ${header.type}`);
  const pax = z.record(z.string(), z.string()).parse(header.pax ?? {});
  const mode = type === 'sym' ? 0o777 : (header.mode ?? 0) & 0o7777;
  const xattrs = Object.entries(pax)
    .filter(([name]) => name.startsWith('SCHILY.xattr.') && !/^SCHILY\.xattr\.(user\.|security\.selinux)/.test(name))
    .map(([name, value]) => [name.slice('SCHILY.xattr.'.length), Buffer.from(value, 'utf8').toString('hex')] as const);
  return {
    type,
    mode: mode.toString(8).padStart(4, '0'),
    uid: Number(pax['uid'] ?? header.uid ?? 0),
    gid: Number(pax['gid'] ?? header.gid ?? 0),
    ...(type === 'file' ? contentOf(bytes) : {}),
    ...(type === 'sym' ? { link: header.linkname ?? '' } : {}),
    ...(type === 'char' || type === 'block' ? { dev: `${header.devmajor ?? 0}:${header.devminor ?? 0}` } : {}),
    ...(xattrs.length > 0 ? { xattrs: Object.fromEntries(xattrs) } : {}),
    mtime: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
  };
}

function contentOf(bytes: Buffer): Pick<TreeEntry, 'size' | 'sha256' | 'text'> {
  const text = bytes.length <= SHOWN_BYTES ? bytes.toString('utf8') : undefined;
  const shown = text !== undefined && /^[\t\n\r\x20-\x7e]*$/.test(text) ? { text } : {};
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), ...shown };
}
