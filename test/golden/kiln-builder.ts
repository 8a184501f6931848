import { join } from 'node:path';
import type { Farm } from '../e2e/farm.ts';
import type { GoldenCase } from './golden-case.ts';

/** How a build ended. */
export interface Built {
  readonly code: number | null;
  readonly said: string;
  /** the image, where the build made one */
  readonly archive: string;
}

/** Flags of a case for its working copy and the address of the file server. */
export function caseArgs({ args }: GoldenCase, dir: string, files: string): readonly string[] {
  return args.map((arg) => arg.replaceAll('{dir}', dir).replaceAll('{files}', files));
}

/** Builds a case's working copy with the command line. The recorded cases start it as a user does. */
export async function buildWithKiln(farm: Farm, golden: GoldenCase, dir: string, files: string): Promise<Built> {
  const archive = join(dir, 'kiln.tar');
  const output = ['type=oci', `dest=${archive}`, ...golden.output].join(',');
  const args = caseArgs(golden, dir, files);
  const command = [join(dir, 'context'), '-f', join(dir, golden.file), '--progress=plain', '-o', output];
  const { code, stdout, stderr } = await farm.kilnBuild([...command, ...args], { cwd: dir, env: golden.env });
  return { code, said: stdout + stderr, archive };
}
