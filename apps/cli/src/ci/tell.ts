import { appendFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { findingsOf, type BuildStory } from '../summary/build-story.ts';
import { codeQuality } from '../summary/code-quality.ts';
import { githubCommands } from '../summary/github.ts';
import { errorPage, markdownOf } from '../summary/markdown.ts';
import type { CiService, Environment } from './ci-service.ts';

/** What came of a CI job's build. */
export interface Outcome {
  /** why there was no build, or no answer of it: wrong use, a farm that is away, a token that it does not take */
  readonly refused: string | undefined;
  /** undefined where the farm took no build, or does not tell of it any more */
  readonly story: BuildStory | undefined;
  /** as `--metadata-file` and `--iidfile` have it; empty unless the build succeeded */
  readonly metadata: string;
  readonly imageId: string;
  /** where the Dockerfile lies in the repository */
  readonly dockerfile: string;
}

export interface Outside {
  readonly cwd: string;
  readonly environment: Environment;
  /** to the job's log */
  readonly write: (text: string) => void;
  /** runs the CI's own command with this input. @returns whether it could */
  readonly run: (command: string, args: readonly string[], input: string) => Promise<boolean>;
  /** text that nobody can guess */
  readonly nonce: () => string;
}

/** Tells a CI in its own way: outputs for later steps, a page, findings beside their lines. */
export async function tellCi(service: CiService, outcome: Outcome, outside: Outside): Promise<void> {
  switch (service) {
    case 'github':
      return await tellGithub(outcome, outside);
    case 'gitlab':
      return await tellGitlab(outcome, outside);
    case 'buildkite':
      return await tellBuildkite(outcome, outside);
    case 'circleci':
      return await tellCircle(outcome, outside);
    case 'jenkins':
      return await writeFiles(outside.cwd, {
        'kiln-outputs.json': `${JSON.stringify(outputsOf(outcome), null, 2)}\n`,
        'kiln-summary.md': pageOf(outcome),
      });
    case 'woodpecker':
    case 'drone':
      return await appendTo(outside.environment['DRONE_OUTPUT'], lines(outputsOf(outcome), 'KILN_'));
  }
}

/** The page of a build, or why there is none. */
export function pageOf({ story, refused, dockerfile }: Outcome): string {
  return story === undefined
    ? errorPage(refused ?? 'the farm does not tell of the build')
    : markdownOf(story, dockerfile);
}

/** By the names of docker/build-push-action, and the farm's own. What is not known is not there. */
function outputsOf({ story, metadata, imageId }: Outcome): Readonly<Record<string, string>> {
  const digest = story?.build.result?.digest;
  const build = story?.build;
  return {
    ...(imageId === '' ? {} : { imageid: imageId }),
    ...(digest === undefined ? {} : { digest }),
    ...(metadata === '' ? {} : { metadata }),
    ...(build === undefined ? {} : { 'build-id': build.id, 'build-url': build.url }),
  };
}

/** `NAME=VALUE` a line, without those of several lines. */
function lines(outputs: Readonly<Record<string, string>>, prefix: string, quote = (value: string) => value): string {
  return Object.entries(outputs)
    .filter(([, value]) => !value.includes('\n'))
    .map(([name, value]) => `${prefix}${name.toUpperCase().replaceAll('-', '_')}=${quote(value)}\n`)
    .join('');
}

async function tellGithub(outcome: Outcome, { environment, write, nonce }: Outside): Promise<void> {
  const outputs = Object.entries(outputsOf(outcome)).map(([name, value]) => {
    const end = `kiln-${nonce()}`;
    return `${name}<<${end}\n${value}\n${end}\n`;
  });
  await appendTo(environment['GITHUB_OUTPUT'], outputs.join(''));
  if (environment['DOCKER_BUILD_SUMMARY'] !== 'false')
    await appendTo(environment['GITHUB_STEP_SUMMARY'], pageOf(outcome));
  const { story, refused, dockerfile } = outcome;
  const findings =
    story === undefined
      ? [{ level: 'error' as const, rule: 'no build', message: refused ?? '', place: undefined, url: undefined }]
      : findingsOf(story, dockerfile);
  write(githubCommands(findings));
}

async function tellGitlab(outcome: Outcome, { cwd }: Outside): Promise<void> {
  const { story, dockerfile } = outcome;
  const findings = story === undefined ? [] : findingsOf(story, dockerfile);
  const link = story && { external_link: { label: `Kiln build ${story.build.id}`, url: story.build.url } };
  await writeFiles(cwd, {
    'kiln.env': lines(outputsOf(outcome), 'KILN_'),
    'kiln-summary.md': pageOf(outcome),
    'kiln-links.json': `${JSON.stringify({ kiln: link === undefined ? [] : [link] })}\n`,
    'gl-code-quality-report.json': codeQuality(findings, dockerfile),
  });
}

async function tellBuildkite(outcome: Outcome, { environment, run, write }: Outside): Promise<void> {
  const style = outcome.story?.build.state === 'succeeded' ? 'success' : 'error';
  // Each job has a page of its own.
  const context = `kiln-${environment['BUILDKITE_JOB_ID'] ?? 'build'}`;
  let told = await run('buildkite-agent', ['annotate', '--style', style, '--context', context], pageOf(outcome));
  for (const [name, value] of Object.entries(outputsOf(outcome)))
    if (told) told = await run('buildkite-agent', ['meta-data', 'set', `kiln:${name}`], value);
  if (!told) write('kiln: buildkite-agent took no annotation and no meta-data\n');
}

async function tellCircle(outcome: Outcome, { cwd, environment }: Outside): Promise<void> {
  const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;
  await appendTo(environment['BASH_ENV'], lines(outputsOf(outcome), 'export KILN_', quote));
  await writeFiles(cwd, { 'kiln-summary.md': pageOf(outcome) });
}

async function appendTo(file: string | undefined, text: string): Promise<void> {
  if (file !== undefined && file !== '' && text !== '') await appendFile(file, text);
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(resolve(folder, name), text);
}
