import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { CaseFarm } from '../conformance/case-farm.ts';
import { type Facets, facetsOf, treeDifferences } from '../golden/expected.ts';
import { GoldenCase } from '../golden/golden-case.ts';
import { type Built, buildWithKiln } from '../golden/kiln-builder.ts';
import { readArchive } from '../golden/oci-archive.ts';
import type { OtherBuilder } from '../golden/other-builders.ts';
import { fromBuildah } from '../golden/translate.ts';
import type { Program } from './program.ts';

/** Lines of a difference that are shown. */
const SHOWN = 12;
const Config = z.record(z.string(), z.unknown());
const CONFIG = ['Env', 'User', 'WorkingDir', 'Labels', 'Cmd', 'ExposedPorts', 'Volumes', 'StopSignal', 'Shell'];

/** Builds a program with Kiln and buildah. @returns the first differences of the images, buildah's as what is wanted */
export async function differencesOf(
  program: Program,
  held: CaseFarm,
  buildah: OtherBuilder,
): Promise<readonly string[]> {
  const golden = GoldenCase.parse({ about: 'a random program', args: program.args });
  const [kiln, other] = await Promise.all([
    imageOf(program, held),
    look(program, held, (dir) => buildah.build(golden, dir, held.files)),
  ]);
  return differ(kiln, typeof other === 'string' ? other : fromBuildah(other));
}

/** Builds a program with Kiln. @returns the image, or what a build that failed said */
export function imageOf(program: Program, held: CaseFarm): Promise<Facets | string> {
  const golden = GoldenCase.parse({ about: 'a random program', args: program.args });
  return look(program, held, (dir) => buildWithKiln(held.farm, golden, dir, held.files));
}

async function look(
  program: Program,
  held: CaseFarm,
  build: (dir: string) => Promise<Built>,
): Promise<Facets | string> {
  const dir = await mkdtemp(join(held.farm.dir, 'random-'));
  try {
    await writeFile(join(dir, 'Dockerfile'), program.dockerfile);
    for (const [path, bytes] of Object.entries(program.files)) {
      const at = join(dir, 'context', path);
      await mkdir(dirname(at), { recursive: true });
      await writeFile(at, bytes);
      await chmod(at, program.modes[path] ?? 0o644);
    }
    const { code, said, archive } = await build(dir);
    if (code !== 0) return said;
    return await facetsOf(await readArchive(archive), GoldenCase.parse({ about: '' }), held.files);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function differ(kiln: Facets | string, other: Facets | string): readonly string[] {
  if (typeof kiln === 'string' && typeof other === 'string') {
    return [`no program of these should fail; Kiln says:\n${kiln}\nbuildah says:\n${other}`];
  }
  if (typeof kiln === 'string') return [`only Kiln fails:\n${kiln}`];
  if (typeof other === 'string') return [`only buildah fails:\n${other}`];
  return [...treeDifferences(other.tree, kiln.tree), ...configDifferences(other, kiln)].slice(0, SHOWN);
}

function configDifferences(want: Facets, got: Facets): readonly string[] {
  const of = (facets: Facets): Readonly<Record<string, unknown>> => Config.parse(facets.config['config']);
  return CONFIG.flatMap((key) => {
    const [a, b] = [JSON.stringify(ordered(key, of(want)[key])), JSON.stringify(ordered(key, of(got)[key]))];
    return a === b ? [] : [`${key}: want ${a}, got ${b}`];
  });
}

/** The order of the environment and of members carries no meaning; that of a command does. */
function ordered(key: string, value: unknown): unknown {
  if (Array.isArray(value)) return key === 'Env' ? value.map(String).sort() : value;
  const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
  return typeof value === 'object' && value !== null ? Object.entries(value).sort(byName) : value;
}
