import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { chmod, cp, link, lchown, lutimes, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compress } from './compress.ts';
import { tarOf } from '#testing';
import { z } from 'zod';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
/** When everything in a context was changed, unless a case says otherwise; in seconds. */
const CONTEXT_MTIME = 1_600_000_000;

const mode = z.string().regex(/^[0-7]{3,4}$/);
const ArchiveEntry = z.strictObject({
  name: z.string(),
  type: z.enum(['file', 'directory', 'symlink', 'link', 'fifo', 'character-device']).default('file'),
  text: z.string().exactOptional(),
  mode: mode.exactOptional(),
  uid: z.int().exactOptional(),
  gid: z.int().exactOptional(),
  linkname: z.string().exactOptional(),
  devmajor: z.int().exactOptional(),
  devminor: z.int().exactOptional(),
  /** seconds */
  mtime: z.int().exactOptional(),
  pax: z.record(z.string(), z.string()).exactOptional(),
});

/** What git does not keep: made anew for each build, in this order. Paths are of the case's working copy. */
const Setup = z.discriminatedUnion('make', [
  z.strictObject({ make: z.literal('file'), path: z.string(), text: z.string(), repeat: z.int().default(1) }),
  z.strictObject({ make: z.literal('directory'), path: z.string() }),
  z.strictObject({ make: z.literal('symlink'), path: z.string(), to: z.string() }),
  z.strictObject({ make: z.literal('hardlink'), path: z.string(), to: z.string() }),
  z.strictObject({ make: z.literal('fifo'), path: z.string() }),
  z.strictObject({ make: z.literal('mode'), path: z.string(), mode }),
  z.strictObject({ make: z.literal('owner'), path: z.string(), uid: z.int(), gid: z.int() }),
  z.strictObject({ make: z.literal('mtime'), path: z.string(), seconds: z.int() }),
  z.strictObject({ make: z.literal('xattr'), path: z.string(), name: z.string(), value: z.string() }),
  z.strictObject({
    make: z.literal('archive'),
    path: z.string(),
    compress: z.enum(['none', 'gzip', 'bzip2', 'xz', 'zstd']).default('none'),
    entries: z.array(ArchiveEntry),
  }),
]);
type Setup = z.infer<typeof Setup>;

export const GoldenCase = z.strictObject({
  /** what it pins, in a sentence */
  about: z.string(),
  /** flags of `kiln build`; `{dir}` is the case's working copy, `{files}` the file server's address */
  args: z.array(z.string()).default([]),
  /** options of the output, such as rewrite-timestamp=true */
  output: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  /** Dockerfile, below the case's directory */
  file: z.string().default('Dockerfile'),
  /** which image of the output is looked at */
  platform: z.string().default('linux/amd64'),
  setup: z.array(Setup).default([]),
  /** the build has to fail, with a message that matches, at a line of the Dockerfile */
  fails: z.strictObject({ message: z.string(), line: z.int().optional(), exit: z.int().default(1) }).optional(),
  /** patterns that progress has to match */
  says: z.array(z.string()).default([]),
  /** paths whose mtimes count */
  mtimes: z.array(z.string()).default([]),
  /** paths that are not compared, and why */
  ignore: z.record(z.string(), z.string()).default({}),
  /** why a builder's image is not what is expected, or why it cannot build the case */
  departs: z.strictObject({ buildah: z.string().optional(), buildkit: z.string().optional() }).default({}),
});
export type GoldenCase = z.infer<typeof GoldenCase>;

/** Names of all cases. */
export function goldenCases(): readonly string[] {
  return readdirSync(here, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

export const casePath = (name: string, file: string): string => join(here, name, file);

export async function readCase(name: string): Promise<GoldenCase> {
  return GoldenCase.parse(JSON.parse(await readFile(casePath(name, 'case.json'), 'utf8')));
}

/** Copies a case to `dir`, with its modes and times the same on every machine. Its context is `dir/context`. */
export async function prepareCase(name: string, golden: GoldenCase, dir: string): Promise<void> {
  await cp(join(here, name), dir, { recursive: true, verbatimSymlinks: true });
  await mkdir(join(dir, 'context'), { recursive: true });
  await each(dir, async (path, type) => {
    if (type === 'directory') await chmod(path, 0o755);
    else if (type === 'file') await chmod(path, 0o644);
  });
  const [now, later] = [
    golden.setup.filter(({ make }) => make !== 'mtime'),
    golden.setup.filter(({ make }) => make === 'mtime'),
  ];
  for (const step of now) await set(dir, step);
  await each(dir, (path) => lutimes(path, CONTEXT_MTIME, CONTEXT_MTIME));
  for (const step of later) await set(dir, step);
}

async function each(
  dir: string,
  visit: (path: string, type: 'file' | 'directory' | 'other') => Promise<void>,
): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await each(path, visit);
    await visit(path, entry.isDirectory() ? 'directory' : entry.isFile() ? 'file' : 'other');
  }
  await visit(dir, 'directory');
}

async function set(dir: string, step: Setup): Promise<void> {
  const path = join(dir, step.path);
  if (step.make !== 'mode') await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  switch (step.make) {
    case 'file':
      return writeFile(path, step.text.repeat(step.repeat), { mode: 0o644 });
    case 'directory':
      return void (await mkdir(path, { recursive: true, mode: 0o755 }));
    case 'symlink':
      return symlink(step.to, path);
    case 'hardlink':
      return link(join(dir, step.to), path);
    case 'fifo':
      return void (await run('mkfifo', ['-m', '644', path]));
    case 'mode':
      return chmod(path, parseInt(step.mode, 8));
    case 'owner':
      return lchown(path, step.uid, step.gid);
    case 'mtime':
      return lutimes(path, step.seconds, step.seconds);
    case 'xattr':
      return void (await run('setfattr', ['-n', step.name, '-v', step.value, path]));
    case 'archive':
      return writeFile(path, await archive(step));
  }
}

async function archive({ entries, compress: how }: Extract<Setup, { make: 'archive' }>): Promise<Buffer> {
  const items = entries.map(({ mode: bits, mtime, ...rest }) => ({
    ...rest,
    ...(bits === undefined ? {} : { mode: parseInt(bits, 8) }),
    ...(mtime === undefined ? {} : { mtime: new Date(mtime * 1000) }),
  }));
  return compress(await tarOf(...items), how);
}
