import { rm } from 'node:fs/promises';

/** Removes a directory with all that is in it; links are not followed; nothing happens where there is none. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}
