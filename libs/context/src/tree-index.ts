import { comparePaths, joinPath, parentOf, type Tree, type TreeEntry } from '#content';
import { type ContextManifest, treeOf } from './manifest.ts';

/** As the kernel: more links than this are a loop. */
const MAX_LINKS = 40;

const root: TreeEntry = { path: '', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 };

/** A tree by directories, with links resolved within it. */
export class TreeIndex {
  readonly #tree: Tree;
  readonly #children = new Map<string, string[]>();

  constructor(tree: Tree) {
    this.#tree = tree;
    for (const path of [...tree.keys()].sort(comparePaths)) {
      if (path === '') continue;
      const siblings = this.#children.get(parentOf(path));
      if (siblings === undefined) this.#children.set(parentOf(path), [path]);
      else siblings.push(path);
    }
  }

  get(path: string): TreeEntry | undefined {
    return this.#tree.get(path) ?? (path === '' ? root : undefined);
  }

  /** Whether the tree itself describes a path; it need not describe its root. */
  knows(path: string): boolean {
    return this.#tree.has(path);
  }

  /** Paths right below a directory, in order. */
  children(directory: string): readonly string[] {
    return this.#children.get(directory) ?? [];
  }

  /** Everything below a directory, in order of paths. */
  *below(directory: string): Generator<TreeEntry> {
    for (const path of this.children(directory)) {
      const entry = this.get(path);
      if (entry === undefined) continue;
      yield entry;
      if (entry.type === 'dir') yield* this.below(path);
    }
  }

  paths(): Iterable<string> {
    return this.#tree.keys();
  }

  /**
   * Where a path leads when every link in it is followed; links and `..` stay within the root. Undefined where nothing is,
   * and for loops.
   */
  resolve(path: string): TreeEntry | undefined {
    const todo = path.split('/').reverse();
    let at = '';
    for (let links = 0; todo.length > 0; ) {
      const component = todo.pop() ?? '';
      if (component === '' || component === '.') continue;
      if (this.get(at)?.type !== 'dir') return undefined;
      if (component === '..') {
        at = parentOf(at);
        continue;
      }
      const next = joinPath(at, component);
      const entry = this.get(next);
      if (entry === undefined) return undefined;
      if (entry.type !== 'symlink') {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = entry.link ?? '';
      if (target.startsWith('/')) at = '';
      todo.push(...target.split('/').reverse());
    }
    return this.get(at);
  }
}

// A build asks the same tree once for every COPY.
const known = new WeakMap<object, TreeIndex>();

export function indexOf(source: Tree | ContextManifest): TreeIndex {
  const made = known.get(source) ?? new TreeIndex('entries' in source && 'version' in source ? treeOf(source) : source);
  known.set(source, made);
  return made;
}
