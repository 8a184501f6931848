import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BusyBox } from './base-image.ts';

const run = promisify(execFile);
const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'kiln/test-busybox');

/** Debian's static busybox of another architecture, fetched once; the machine's own packages are left alone. */
export async function foreignBusyBox(architecture: string): Promise<BusyBox> {
  const program = join(cache, architecture);
  if (!existsSync(program)) await fetch(architecture, program);
  return { platform: { os: 'linux', architecture }, program };
}

async function fetch(architecture: string, program: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const dir = await mkdtemp(join(cache, 'fetch-'));
  try {
    for (const name of ['lists/partial', 'archives/partial']) await mkdir(join(dir, name), { recursive: true });
    await writeFile(join(dir, 'status'), '');
    await writeFile(join(dir, 'sources.list'), 'deb http://deb.debian.org/debian bookworm main\n');
    const settings = [
      `Dir::Etc::sourcelist=${join(dir, 'sources.list')}`,
      'Dir::Etc::sourceparts=-',
      'Acquire::Retries=3',
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      `Dir::State::Lists=${join(dir, 'lists')}`,
      `Dir::State::status=${join(dir, 'status')}`,
      `Dir::Cache=${dir}`,
      'Acquire::Languages=none',
      'APT::Sandbox::User=root',
    ].flatMap((setting) => ['-o', setting]);
    await run('apt-get', [...settings, 'update'], { cwd: dir });
    await run('apt-get', [...settings, 'download', 'busybox-static'], { cwd: dir });
    const deb = (await readdir(dir)).find((name) => name.endsWith('.deb'));
    if (deb === undefined) throw new Error(`no busybox-static for ${architecture}`);
    await run('dpkg-deb', ['-x', deb, 'root'], { cwd: dir });
    await cp(join(dir, 'root/bin/busybox'), join(dir, 'busybox'));
    await rename(join(dir, 'busybox'), program);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
