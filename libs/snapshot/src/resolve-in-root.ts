import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { KilnError, systemCode } from '#std';
import { asText, onDisk } from './on-disk.ts';

/** As many links as Linux would follow on one path, and more than any tool makes. */
const linkLimit = 255;

export interface ResolveOptions {
  /** Whether a link as the last component is followed too (as open does) or stands for itself (as lstat does). */
  readonly followLast?: boolean;
}

/**
 * Where `path` lies on this node when `root` is taken as `/`: links are followed inside of the root, absolute ones from
 * the root, and `..` never leaves it. Components that do not exist stay as they are written. The answer holds as long
 * as nobody changes the tree; it is spelt as paths of trees are (encodePath has its bytes).
 * @throws KilnError INVALID_ARGUMENT when it takes more than 255 links, or a name holds a NUL
 */
export function resolveInRoot(root: string, path: string, options: ResolveOptions = {}): Promise<string> {
  return Promise.resolve().then(() => resolveInRootSync(root, path, options));
}

/** {@link resolveInRoot} for those who walk through many paths. */
export function resolveInRootSync(root: string, path: string, { followLast = false }: ResolveOptions = {}): string {
  const inside = insideRoot(root, path, followLast);
  return inside === '' ? root : `${root}/${inside}`;
}

/** The same without the root in front: a clean relative path whose parents are no links. */
export function insideRoot(root: string, path: string, followLast: boolean): string {
  const todo = path.split('/').reverse();
  const done: string[] = [];
  let links = 0;
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (name.includes('\0')) throw new KilnError('INVALID_ARGUMENT', `a path holds a NUL: ${JSON.stringify(path)}`);
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      continue;
    }
    done.push(name);
    const last = !followLast && todo.every((rest) => rest === '' || rest === '.');
    const target = last ? undefined : linkTarget(onDisk(root, done.join('/')));
    if (target === undefined) continue;
    if (++links > linkLimit)
      throw new KilnError('INVALID_ARGUMENT', `too many links on the path ${JSON.stringify(path)}`);
    done.pop();
    if (target.startsWith('/')) done.length = 0;
    todo.push(...target.split('/').reverse());
  }
  return done.join('/');
}

function linkTarget(path: string | Buffer): string | undefined {
  return statOf(path)?.isSymbolicLink() === true ? asText(readlinkSync(path, 'buffer')) : undefined;
}

/** lstat, or undefined where nothing is. */
export function statOf(path: string | Buffer): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    // A file stands where the path wants a directory.
    if (systemCode(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
