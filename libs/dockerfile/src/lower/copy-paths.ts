import { posix } from 'node:path';

const PIVOT = '/./';

/** Relative to the root of the source; what lies above the root is the root. */
export function sourcePath(source: string): string {
  return posix.join('/', source).replace(/^\/+|\/+$/g, '') || '.';
}

/** The same for --parents: the first `/./`, before which no directories are kept, stays where it is. */
export function pivotedPath(source: string): string {
  const at = source.indexOf(PIVOT);
  if (at === -1) return sourcePath(source);
  const [before, kept] = [sourcePath(source.slice(0, at)), sourcePath(source.slice(at + PIVOT.length))];
  return before === '.' ? kept : `${before}${PIVOT}${kept}`;
}

/** Absolute and clean; with a slash at the end where a directory is meant. */
export function destination(dest: string, cwd: string): string {
  const directory = dest === '' || /(?:^|\/)\.{0,2}$/.test(dest);
  const path = posix.resolve('/', cwd, dest);
  return directory && path !== '/' ? `${path}/` : path;
}
