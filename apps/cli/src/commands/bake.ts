import { attestText } from '#protocol';
import { planAsked } from '../bake/read-files.ts';
import { runBake } from '../bake/run-bake.ts';
import { targetBuilds } from '../bake/target-options.ts';
import { readProgress } from '../build/build-flags.ts';
import type { BuildSurroundings } from '../build/run-build.ts';
import { ownSurroundings } from '../build/surroundings.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { authorized } from '../farm/connect.ts';
import { usageError } from '../usage.ts';

/** The flags of `kiln bake` as commander gives them. */
export interface BakeFlags {
  readonly file?: readonly string[];
  readonly set?: readonly string[];
  readonly var?: readonly string[];
  readonly print?: boolean;
  readonly list?: string;
  readonly push?: boolean;
  readonly load?: boolean;
  /** false for --no-cache */
  readonly cache: boolean;
  readonly pull?: boolean;
  readonly allow?: readonly string[];
  readonly call?: string;
  readonly check?: boolean;
  readonly metadataFile?: string;
  readonly progress: string;
  readonly builder?: string;
  readonly provenance?: string;
  readonly sbom?: string;
  readonly data?: string;
}

/** `kiln bake [TARGET…]` */
export async function bake(
  targets: readonly string[],
  flags: BakeFlags,
  around: BuildSurroundings = ownSurroundings(),
): Promise<void> {
  const [first] = targets;
  if (first !== undefined && /:\/\/|^git@/.test(first))
    throw usageError(`bake files are read here, not from ${first}`, 'clone the repository, and bake in its directory');
  if (flags.print === true && flags.list !== undefined) throw usageError('--print and --list do not go together');
  const progress = readProgress(flags.progress);
  const asked = { files: flags.file ?? [], variables: flags.var ?? [], targets, list: flags.list };
  const plan = await planAsked({ ...asked, overrides: overridesOf(flags) }, around);
  if (flags.list !== undefined || flags.print === true) return void around.stdout.write(plan.text);
  const allowed = [...(flags.allow ?? []), ...granted(flags.set ?? [])];
  const call = flags.call ?? (flags.check === true ? 'check' : undefined);
  const options = { progress: flags.progress, data: flags.data, allow: allowed, call };
  const builds = targetBuilds(plan.targets, options, around.environment);
  const config = await authorized(readConfig(around.environment, flags.data));
  const { metadataFile } = flags;
  const code = await runBake(
    { targets: builds, progress, metadataFile, notes: notesOf(plan.notes, flags) },
    config,
    around,
  );
  if (code !== 0) throw new Exit(code);
}

/** Short ways to say `--set`, which come after it. */
function overridesOf({ set = [], push, load, cache, pull, provenance, sbom }: BakeFlags): readonly string[] {
  return [
    ...set,
    ...(push === true ? ['*.push=true'] : []),
    ...(load === true ? ['*.load=true'] : []),
    ...(cache ? [] : ['*.no-cache=true']),
    ...(pull === true ? ['*.pull=true'] : []),
    ...(provenance === undefined ? [] : [`*.attest=${attestText('provenance', provenance)}`]),
    ...(sbom === undefined ? [] : [`*.attest=${attestText('sbom', sbom)}`]),
  ];
}

/** Who sets an entitlement grants it. */
const granted = (set: readonly string[]): readonly string[] =>
  set.flatMap((each) => /^[^.]*\.entitlements\+?=(.*)$/.exec(each)?.[1] ?? []);

function notesOf(notes: readonly string[], { builder }: BakeFlags): readonly string[] {
  return [
    ...notes,
    ...(builder === undefined ? [] : ['--builder has no effect: KILN_URL or --context names the farm']),
  ];
}
