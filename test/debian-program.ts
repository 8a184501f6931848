import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const kept = fileURLToPath(new URL('../.kiln/debian/', import.meta.url));

/**
 * One program of a Debian package that is not installed: what else the package brings, such as a service, has no business on
 * this machine. Fetched once for a checkout.
 * @param path of the program in the package
 */
export async function debianProgram(name: string, path: string): Promise<string> {
  const program = join(kept, basename(path));
  if (await exists(program)) return program;
  await mkdir(kept, { recursive: true });
  const dir = await mkdtemp(join(kept, 'download-'));
  try {
    await run('apt-get', ['download', name], { cwd: dir }).catch(async () => {
      await run('apt-get', ['update']);
      await run('apt-get', ['download', name], { cwd: dir });
    });
    const [archive = ''] = (await readdir(dir)).filter((file) => file.endsWith('.deb'));
    await run('dpkg-deb', ['--extract', archive, 'package'], { cwd: dir });
    await rename(join(dir, 'package', path), program);
    return program;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
