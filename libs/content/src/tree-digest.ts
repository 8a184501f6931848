import { type Digest, digestOf } from '#oci';
import { impliedDirectory } from './apply-delta.ts';
import { baseOf, comparePaths, isWithin, parentOf } from './path.ts';
import type { Tree, TreeEntry } from './tree.ts';

/** Bump when the hashed bytes change meaning. */
const TREE_VERSION = 1;

/** Mode bits that the kernel gives every symbolic link, whatever an archive says. */
const SYMLINK_MODE = 0o777;

/**
 * All that counts of one file, as one line of JSON without white space; text beyond ASCII as it is, lone surrogates as
 * `\udcXX` in lower case:
 *
 *     ["name","type",mode,uid,gid,content,link,device,hardlink,xattrs]
 *
 * with `content` a file's digest or a directory's (see {@link treeDigest}), `link` a symlink's target, `device`
 * `[major,minor]`, `hardlink` the path of the same file's first name, `xattrs` `[["name","base64"],…]` sorted by name;
 * each null where there is none. A symlink's mode is 511. Size follows from the content; mtime does not count.
 */
export function entryLine(name: string, entry: TreeEntry, content: Digest | undefined): string {
  const { device, xattrs } = entry;
  const attributes = Object.entries(xattrs ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    name,
    entry.type,
    entry.type === 'symlink' ? SYMLINK_MODE : entry.mode,
    entry.uid,
    entry.gid,
    content ?? null,
    entry.link ?? null,
    device === undefined ? null : [device.major, device.minor],
    entry.hardlink ?? null,
    attributes.length === 0 ? null : attributes,
  ]);
}

interface OpenDirectory {
  readonly entry: TreeEntry;
  readonly lines: string[];
}

const directoryDigest = (lines: readonly string[]): Digest =>
  digestOf(`${[`kiln.tree ${TREE_VERSION}`, ...lines].join('\n')}\n`);

/** Entries below and at `root`, in order of paths, a directory for every parent that nobody described. */
function* described(tree: Tree, root: string): Generator<TreeEntry> {
  const known = new Set([root]);
  const paths = [...tree.keys()].filter((path) => path !== root && isWithin(path, root)).sort(comparePaths);
  for (const path of paths) {
    const missing: string[] = [];
    for (let above = parentOf(path); !known.has(above); above = parentOf(above)) missing.push(above);
    for (const above of missing.reverse()) {
      known.add(above);
      yield impliedDirectory(above);
    }
    const entry = tree.get(path);
    if (entry === undefined) continue;
    if (entry.type === 'dir') known.add(path);
    yield entry;
  }
}

/**
 * The digest of what stands at `path`, whatever it is called: of the line of that entry with an empty name. Undefined
 * where nothing is.
 */
export function subtreeDigest(tree: Tree, path: string): Digest | undefined {
  const top = tree.get(path) ?? (path === '' ? impliedDirectory('') : undefined);
  if (top === undefined) return undefined;
  if (top.type !== 'dir') return digestOf(entryLine('', top, top.digest));
  const root: OpenDirectory = { entry: top, lines: [] };
  const open: OpenDirectory[] = [root];
  const close = (): void => {
    const closed = open.pop();
    if (closed === undefined) return;
    open.at(-1)?.lines.push(entryLine(baseOf(closed.entry.path), closed.entry, directoryDigest(closed.lines)));
  };
  for (const entry of described(tree, path)) {
    while (open.length > 1 && !isWithin(entry.path, open.at(-1)?.entry.path ?? '')) close();
    if (entry.type === 'dir') open.push({ entry, lines: [] });
    else open.at(-1)?.lines.push(entryLine(baseOf(entry.path), entry, entry.digest));
  }
  while (open.length > 1) close();
  return digestOf(entryLine('', top, directoryDigest(root.lines)));
}

/**
 * The content digest of a file tree, a Merkle digest:
 *
 * - a directory's content digest is SHA-256 over `kiln.tree 1\n` and, in order of names by their bytes, the
 *   {@link entryLine} of each child and `\n`; a child directory's line holds its content digest;
 * - the tree's is SHA-256 over the root's line with an empty name, without `\n`. A root that the tree does not describe,
 *   like any missing directory, is 0755 and 0:0.
 *
 * The same whatever the order of the map and the mtimes.
 */
export function treeDigest(tree: Tree): Digest {
  return subtreeDigest(tree, '') ?? directoryDigest([]);
}
