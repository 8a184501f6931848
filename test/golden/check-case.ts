import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaseFarm } from '../conformance/case-farm.ts';
import { expectedTree, facetsOf, readExpected, same, treeDifferences } from './expected.ts';
import { type GoldenCase, prepareCase, readCase } from './golden-case.ts';
import { type Built, buildWithKiln } from './kiln-builder.ts';
import { readArchive } from './oci-archive.ts';

/** A crash is no refusal. */
const CRASH = /(Type|Reference|Range)Error|\n\s+at .*:\d+:\d+/;

/** Builds a case. @returns what is not as expected, a line each */
export async function problemsOf(name: string, held: CaseFarm): Promise<readonly string[]> {
  const golden = await readCase(name);
  const dir = await mkdtemp(join(held.farm.dir, 'case-'));
  try {
    await prepareCase(name, golden, dir);
    const built = await buildWithKiln(held.farm, golden, dir, held.files);
    const silent = golden.says.filter((pattern) => !new RegExp(pattern).test(built.said));
    const outcome =
      golden.fails === undefined
        ? await imageProblems(name, golden, built, held.files)
        : await failureProblems(golden.fails, built, join(dir, golden.file));
    return [...silent.map((pattern) => `nothing says /${pattern}/ in:\n${built.said}`), ...outcome];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function imageProblems(
  name: string,
  golden: GoldenCase,
  { code, said, archive }: Built,
  files: string,
): Promise<readonly string[]> {
  if (code !== 0) return [`the build ended with ${code}:\n${said}`];
  const want = await readExpected(name);
  const got = await facetsOf(await readArchive(archive, golden.platform), golden, files);
  return [
    ...treeDifferences(expectedTree(want), got.tree),
    ...(['config', 'history'] as const)
      .filter((facet) => !same(want[facet], got[facet]))
      .map((facet) => `${facet}:\nwant ${JSON.stringify(want[facet])}\ngot  ${JSON.stringify(got[facet])}`),
  ];
}

/** A refusal has its message, and the line marked in an excerpt of the Dockerfile. */
async function failureProblems(
  { message, line, exit }: NonNullable<GoldenCase['fails']>,
  { code, said }: Built,
  file: string,
): Promise<readonly string[]> {
  if (code !== exit) return [`the build ended with ${code}, not with ${exit}:\n${said}`];
  const problems: string[] = [];
  if (!new RegExp(message, 'i').test(said)) problems.push(`no message matches /${message}/:\n${said}`);
  if (CRASH.test(said)) problems.push(`this looks like a crash:\n${said}`);
  if (line === undefined) return problems;
  const text = (await readFile(file, 'utf8')).split('\n')[line - 1] ?? '';
  if (!said.includes(`> ${line} | ${text.trimEnd()}`)) problems.push(`line ${line} is not marked:\n${said}`);
  return problems;
}
