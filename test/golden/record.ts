/**
 * Records what cases expect: `node test/golden/record.ts [--reference] [NAME…]`, all without an expected.json by default.
 *
 * Builds each with buildah, with the BuildKit of Debian's docker.io where that is installed, and with Kiln, and shows
 * where they differ. What BuildKit says is written, else what buildah says, else, with --reference, what Kiln says: that
 * has then to be read against the reference, line by line, before it is committed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import { startCaseFarm } from '../conformance/case-farm.ts';
import {
  type Expected,
  type Facets,
  facetsOf,
  overBase,
  readExpected,
  same,
  treeDifferences,
  writeExpected,
} from './expected.ts';
import { serveFiles } from './file-server.ts';
import { goldenCases, type GoldenCase, prepareCase, readCase } from './golden-case.ts';
import { type Built, buildWithKiln } from './kiln-builder.ts';
import { readArchive } from './oci-archive.ts';
import { startBuildah, startBuildKit } from './other-builders.ts';
import { fromBuildah, fromBuildKit, inOldForm, inOldWords } from './translate.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { reference: { type: 'boolean' } } });
await using stack = new AsyncDisposableStack();
const held = stack.use(await startCaseFarm());
stack.use(await serveFiles(held.files));
const buildah = stack.use(await startBuildah(held.registry));
const buildkit = await startBuildKit(held.registry);
if (buildkit !== undefined) stack.use(buildkit);
else console.log('docker.io is not installed: recording without BuildKit');

type Builder = 'buildkit' | 'buildah' | 'kiln';
type Seen = Facets | { readonly refused: string };

/** Builds at the same time. */
const JOBS = 4;

const names = positionals.length > 0 ? positionals : goldenCases();
const limit = pLimit(JOBS);
await Promise.all(
  names.map((name) =>
    limit(() => record(name).catch((thrown: unknown) => console.log(`${name}: FAILED: ${String(thrown)}`))),
  ),
);

async function record(name: string): Promise<void> {
  const golden = await readCase(name);
  if (positionals.length === 0 && (await readExpected(name).catch(() => undefined)) !== undefined) return;
  const [byKiln, byBuildah, byBuildKit] = await Promise.all([
    look(
      golden,
      name,
      (dir) => buildWithKiln(held.farm, golden, dir, held.files),
      (facets) => facets,
    ),
    golden.departs.buildah === undefined
      ? look(golden, name, (dir) => buildah.build(golden, dir, held.files), fromBuildah)
      : undefined,
    buildkit && golden.departs.buildkit === undefined
      ? look(golden, name, (dir) => buildkit.build(golden, dir, held.files), fromBuildKit)
      : undefined,
  ]);
  const seen: Partial<Record<Builder, Seen>> = {
    kiln: byKiln,
    ...(byBuildah === undefined ? {} : { buildah: byBuildah }),
    ...(byBuildKit === undefined ? {} : { buildkit: byBuildKit }),
  };
  if (golden.fails !== undefined) return showRefusals(name, seen);
  await write(name, golden, seen);
}

async function look(
  golden: GoldenCase,
  name: string,
  build: (dir: string) => Promise<Built>,
  translate: (facets: Facets) => Facets,
): Promise<Seen> {
  const dir = await mkdtemp(join(held.farm.dir, 'record-'));
  try {
    await prepareCase(name, golden, dir);
    const { code, said, archive } = await build(dir);
    if (code !== 0) return { refused: said.trim().split('\n').slice(-3).join(' | ') };
    return translate(await facetsOf(await readArchive(archive, golden.platform), golden, held.files));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function showRefusals(name: string, seen: Partial<Record<Builder, Seen>>): void {
  for (const [builder, what] of Object.entries(seen)) {
    console.log(`${name}: ${builder} ${'refused' in what ? `refuses: ${what.refused}` : 'ACCEPTS it'}`);
  }
}

async function write(name: string, golden: GoldenCase, seen: Partial<Record<Builder, Seen>>): Promise<void> {
  const facets: [Builder, Facets][] = [];
  for (const builder of ['buildkit', 'buildah', 'kiln'] as const) {
    const what = seen[builder];
    if (what === undefined) continue;
    if ('refused' in what) console.log(`${name}: ${builder} refuses: ${what.refused}`);
    else facets.push([builder, what]);
  }
  const tree = choose(name, facets, 'tree', (want, got) => treeDifferences(want.tree, got.tree));
  const config = choose(name, facets, 'config', (want, got) =>
    differences(inOldForm(want.config), inOldForm(got.config)),
  );
  const history = chooseHistory(name, facets);
  if (tree === undefined || config === undefined || history === undefined) {
    console.log(`${name}: NOT RECORDED`);
    return;
  }
  await writeExpected(name, {
    source: { tree: tree.source, config: config.source, history: history.source },
    ...overBase(tree.facets.tree),
    config: config.facets.config,
    history: history.lines.map((line) => ({ ...line })),
  });
  const by = [tree, config, history].map(({ source }) => source.join('+')).join(', ');
  console.log(`${name}: ${by}`);
}

interface Choice {
  readonly facets: Facets;
  readonly source: Expected['source']['tree'];
}

/** Whose word holds; says where the others differ. */
function choose(
  name: string,
  facets: readonly (readonly [Builder, Facets])[],
  facet: keyof Facets,
  differ: (want: Facets, got: Facets) => readonly string[],
): Choice | undefined {
  const [first] = values.reference === true ? facets.slice(-1) : facets;
  if (first === undefined || (first[0] === 'kiln' && values.reference !== true)) return undefined;
  const source: ('buildah' | 'buildkit')[] = [];
  let chosen = first[1];
  for (const [builder, got] of facets) {
    const lines = differ(first[1], got);
    for (const line of lines.slice(0, 8)) console.log(`${name}: ${facet}: ${builder} not as ${first[0]}: ${line}`);
    if (lines.length > 0) continue;
    if (builder === 'kiln') chosen = got;
    else source.push(builder);
  }
  return { facets: chosen, source: source.length > 0 ? source : ['reference'] };
}

function differences(want: unknown, got: unknown): readonly string[] {
  return same(want, got) ? [] : [`want ${JSON.stringify(want)} got ${JSON.stringify(got)}`];
}

/** Kiln's, where BuildKit's says the same in the words of its time; buildah has a history of its own. */
function chooseHistory(
  name: string,
  facets: readonly (readonly [Builder, Facets])[],
): { lines: Facets['history']; source: Expected['source']['history'] } | undefined {
  const by = new Map(facets);
  const [kiln, buildKit] = [by.get('kiln')?.history, by.get('buildkit')?.history];
  if (kiln === undefined) {
    // What Kiln does not build yet, where the words have not changed.
    const same = buildKit !== undefined && !differences(buildKit, inOldWords(buildKit)).length;
    return same ? { lines: buildKit, source: ['buildkit'] } : undefined;
  }
  const known = buildKit === undefined ? undefined : differences(inOldWords(buildKit), inOldWords(kiln));
  for (const line of known ?? []) console.log(`${name}: history: kiln not as buildkit: ${line}`);
  if (known?.length === 0) return { lines: kiln, source: ['buildkit'] };
  return values.reference === true ? { lines: kiln, source: ['reference'] } : undefined;
}
