import { checkFlags, type BuildFlags } from '../build/build-flags.ts';
import { type BuildSurroundings, runBuild } from '../build/run-build.ts';
import { ownSurroundings } from '../build/surroundings.ts';
import { refuseUnsupported } from '../build/unsupported-flags.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';

/** What commander gives, the flags that are not supported yet among it. */
export type BuildCommandFlags = BuildFlags & Readonly<Record<string, unknown>>;

/** `kiln build PATH` */
export async function build(
  path: string,
  flags: BuildCommandFlags,
  around: BuildSurroundings = ownSurroundings(),
): Promise<void> {
  refuseUnsupported(flags);
  const config = readConfig(around.environment, flags.data);
  const code = await runBuild(checkFlags(path, flags, around.environment), config, around);
  if (code !== 0) throw new Exit(code);
}
