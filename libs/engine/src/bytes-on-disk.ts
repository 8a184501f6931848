import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';

/** What directories take with all below them, in their order; what is linked into several counts for the first. */
export async function bytesOnDisk(dirs: readonly string[]): Promise<readonly number[]> {
  if (dirs.length === 0) return [];
  const { stdout } = await promisify(execFile)('du', ['-sxB1', '--', ...dirs], { env: { LC_ALL: 'C' } });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => z.coerce.number().int().parse(line.split('\t')[0]));
}
