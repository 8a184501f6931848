import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ListOptions {
  /** false for what an ordinary user unpacked */
  readonly owners?: boolean;
}

/** Everything below a directory, by path: type, mode, owner, link, names of the same file, digest, mtime of files. */
export async function listTree(root: string, { owners = true }: ListOptions = {}): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const firstNames = new Map<number, string>();
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    const stat = await lstat(join(root, path));
    const parts = [(stat.mode & 0o7777).toString(8), ...(owners ? [`${stat.uid}:${stat.gid}`] : [])];
    if (stat.isSymbolicLink()) parts.push('->', await readlink(join(root, path)));
    else if (stat.isDirectory()) parts.push('dir');
    else {
      const digest = createHash('sha256')
        .update(await readFile(join(root, path)))
        .digest('hex');
      const first = firstNames.get(stat.ino) ?? path;
      firstNames.set(stat.ino, first);
      parts.push(digest.slice(0, 12), String(Math.floor(stat.mtimeMs / 1000)), ...(first === path ? [] : ['=', first]));
    }
    found[path] = parts.join(' ');
  }
  return found;
}

/** The capabilities of a file, as the kernel keeps them; in hexadecimal. */
export async function capabilityOf(path: string): Promise<string> {
  const args = ['--absolute-names', '--only-values', '-n', 'security.capability', path];
  return (await run('getfattr', args, { encoding: 'buffer' })).stdout.toString('hex');
}

/** Unpacks a tar with everything that it says, as root can. */
export async function untar(file: string, into: string): Promise<string> {
  await mkdir(into, { recursive: true });
  await run('tar', ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', file, '-C', into]);
  return into;
}
