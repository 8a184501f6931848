import { checkFlags, type BuildFlags } from '../build/build-flags.ts';
import { type BuildSurroundings, runBuild } from '../build/run-build.ts';
import { withSurroundings } from '../build/order-flags.ts';
import { ownSurroundings } from '../build/surroundings.ts';
import { refuseUnsupported } from '../build/unsupported-flags.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { authorized } from '../farm/connect.ts';

/** What commander gives, the flags that are not supported yet among it. */
export type BuildCommandFlags = BuildFlags & Readonly<Record<string, unknown>>;

/** `kiln build PATH` */
export async function build(
  path: string,
  flags: BuildCommandFlags,
  around: BuildSurroundings = ownSurroundings(),
): Promise<void> {
  refuseUnsupported(flags);
  const options = checkFlags(path, flags, around.environment);
  const order = withSurroundings(options.order, path, around);
  const config = await authorized(readConfig(around.environment, flags.data));
  const code = await runBuild({ ...options, order }, config, around);
  if (code !== 0) throw new Exit(code);
}
