import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { KilnError, messageOf, systemCode } from '#std';
import type { z } from 'zod';

/** Writes a file that only its owner may read: whole, or as it was. */
export async function writePrivate(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, content, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

/**
 * Reads a JSON file; undefined when there is none.
 * @throws KilnError INVALID_ARGUMENT when it is not of the schema
 */
export async function readPrivate<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined;
    throw new KilnError('INVALID_ARGUMENT', `cannot read ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'remove the farm’s data directory to begin anew',
    });
  }
}
