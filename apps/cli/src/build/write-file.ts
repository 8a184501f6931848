import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bytes } from '#std';
import { usageError } from '../usage.ts';

/** Writes beside the target and renames: the target is whole, or as it was. */
async function replaceFile(path: string, write: (beside: string) => Promise<unknown>): Promise<void> {
  const beside = `${path}.kiln-${randomBytes(4).toString('hex')}`;
  try {
    await write(beside);
    await rename(beside, path);
  } catch (thrown) {
    await rm(beside, { force: true });
    throw thrown;
  }
}

/** @param mode of the file; as the umask has it when it is not said */
export function replaceWithText(path: string, text: string, mode?: number): Promise<void> {
  return replaceFile(path, (beside) => writeFile(beside, text, mode === undefined ? {} : { mode, flag: 'wx' }));
}

export function replaceWithBytes(path: string, bytes: Bytes): Promise<void> {
  return replaceFile(path, (beside) =>
    pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(beside)),
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
