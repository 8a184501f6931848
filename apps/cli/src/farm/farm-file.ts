import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';

/** Where an embedded farm answers, and with which token: `farm.json` in its data directory. */
const FarmFile = z.object({ url: z.string(), token: z.string(), compiledAtMs: z.number().optional() });
export type FarmAddress = z.infer<typeof FarmFile>;

/** Whether a farm runs code that has been compiled anew since it was started. */
export async function isOutdated({ compiledAtMs }: FarmAddress): Promise<boolean> {
  const stamp = new URL('../../../../../.kiln/build.stamp', import.meta.url);
  const now = await stat(stamp).catch(() => undefined);
  return now !== undefined && compiledAtMs !== undefined && now.mtimeMs !== compiledAtMs;
}

/**
 * The embedded farm of a data directory; undefined when none has been started there. It need not be running.
 * @throws KilnError INVALID_ARGUMENT naming the file when it cannot be read
 */
export async function readFarmFile(dataDir: string): Promise<FarmAddress | undefined> {
  const file = join(dataDir, 'farm.json');
  try {
    return FarmFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined;
    throw new KilnError('INVALID_ARGUMENT', `cannot read ${file}: ${messageOf(cause).split('\n')[0] ?? ''}`, {
      hint: 'kiln down and kiln up write it anew; KILN_DATA names another data directory',
      cause,
    });
  }
}
