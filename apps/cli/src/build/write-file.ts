import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bytes } from '#std';
import { usageError } from '../usage.ts';

/** Writes beside the target and renames: the target is whole, or as it was. A pipe, a device and what else is no file is written into. */
async function replaceFile(path: string, write: (to: string, flag: 'w' | 'wx') => Promise<unknown>): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  // Whoever reads /dev/stdout has the file open that would be replaced.
  if ((known !== undefined && !known.isFile()) || /^\/(?:dev|proc)\//.test(path)) return void (await write(path, 'w'));
  const target = known === undefined ? path : await realpath(path);
  const beside = `${target}.kiln-${randomBytes(4).toString('hex')}`;
  try {
    await write(beside, 'wx');
    await rename(beside, target);
  } catch (thrown) {
    await rm(beside, { force: true });
    throw thrown;
  }
}

/** @param mode of the file; as the umask has it when it is not said */
export function replaceWithText(path: string, text: string, mode?: number): Promise<void> {
  return replaceFile(path, (to, flag) => writeFile(to, text, { flag, ...(mode === undefined ? {} : { mode }) }));
}

export function replaceWithBytes(path: string, bytes: Bytes): Promise<void> {
  return replaceFile(path, (to, flags) =>
    pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(to, { flags })),
  );
}

/**
 * Told before the build rather than after it.
 * @throws KilnError INVALID_ARGUMENT when a file cannot be written there
 */
export async function checkTarget(flag: string, path: string, cwd: string): Promise<string> {
  const target = resolve(cwd, path);
  const folder = await stat(dirname(target)).catch(() => undefined);
  if (folder?.isDirectory() !== true)
    throw usageError(`${flag}: there is no directory ${dirname(target)}`, 'make it first');
  const known = await stat(target).catch(() => undefined);
  if (known?.isDirectory() === true) throw usageError(`${flag}: ${target} is a directory`, 'name a file');
  return target;
}
