import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ciProvider } from '#client';
import { messageOf } from '#std';
import type { BuildSurroundings } from '../build/run-build.ts';
import { ownSurroundings } from '../build/surroundings.ts';
import { type CiService, ciServices, settingsOf } from '../ci/ci-service.ts';
import { type Asked, readSettings } from '../ci/settings.ts';
import { type Outcome, type Outside, pageOf, tellCi } from '../ci/tell.ts';
import { readConfig } from '../config.ts';
import { describeFailure, Exit } from '../fail.ts';
import { authorized, connect } from '../farm/connect.ts';
import { type BuildStory, readStory } from '../summary/build-story.ts';
import { usageError } from '../usage.ts';

/** How long a farm may take to tell of a build that has ended. */
const STORY_MS = 60_000;

/** Runs `kiln build` with these arguments. */
export type RunBuild = (args: readonly string[], around: BuildSurroundings) => Promise<void>;

/**
 * `kiln ci [SERVICE]`: a build with the settings that a CI hands to a step, told in that CI's way. Exits as `kiln build`
 * does.
 */
export async function ci(named: CiService | undefined, runBuild: RunBuild): Promise<void> {
  const own = ownSurroundings();
  const service = named ?? ciProvider(own.environment);
  if (service === undefined)
    throw usageError('this is no CI that is known', `name it: kiln ci ${ciServices.join('|')}`);
  const dir = await mkdtemp(join(tmpdir(), 'kiln-ci-'));
  try {
    const [asked, wrong] = await settingsFor(service, own);
    const around = { ...own, environment: { ...own.environment, ...asked?.environment } };
    const attempt = asked === undefined ? { ...wrong, id: '' } : await build(asked, { dir, around, runBuild });
    // Who interrupts a job waits for nothing.
    if (attempt.code === 130) throw new Exit(130);
    const outcome: Outcome = {
      refused: attempt.refused,
      story: attempt.id === '' ? undefined : await storyOf(attempt.id, around),
      metadata: attempt.code === 0 ? await textOf(join(dir, 'metadata.json')) : '',
      imageId: attempt.code === 0 ? await textOf(join(dir, 'iid')) : '',
      dockerfile: asked?.dockerfile ?? 'Dockerfile',
    };
    await keepFiles(asked, outcome, own.cwd);
    await tellCi(service, outcome, outsideOf(own));
    if (attempt.code !== 0) throw new Exit(attempt.code);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Settings that make no sense are told in the CI's way, too. */
async function settingsFor(
  service: CiService,
  { environment, writeError }: BuildSurroundings,
): Promise<readonly [Asked, undefined] | readonly [undefined, Omit<Attempt, 'id'>]> {
  try {
    const asked = readSettings(settingsOf(service, environment));
    // Once for the job: an id token may have expired when the build has ended.
    const { farm } = await authorized(readConfig({ ...environment, ...asked.environment }));
    if (farm === undefined)
      throw usageError(
        'no farm is named',
        'set the setting url, or KILN_URL, to the address of the farm, or log in first',
      );
    const token = farm.token === undefined ? {} : { KILN_TOKEN: farm.token };
    return [{ ...asked, environment: { ...asked.environment, KILN_URL: farm.url, ...token } }, undefined];
  } catch (thrown) {
    const { text, code } = describeFailure(thrown);
    writeError(text);
    return [undefined, { refused: text, code }];
  }
}

interface Attempt {
  readonly refused: string | undefined;
  readonly code: number;
  /** empty where the farm took no build */
  readonly id: string;
}

async function build(
  { args }: Asked,
  { dir, around, runBuild }: { dir: string; around: BuildSurroundings; runBuild: RunBuild },
): Promise<Attempt> {
  const file = (name: string): string => join(dir, name);
  const calls = args.some((arg) => arg.startsWith('--call=') && arg !== '--call=build');
  const files = [
    `--metadata-file=${file('metadata.json')}`,
    `--build-id-file=${file('id')}`,
    ...(calls ? [] : [`--iidfile=${file('iid')}`]),
  ];
  let refused: string | undefined;
  let code = 0;
  try {
    await runBuild([...files, ...args], around);
  } catch (thrown) {
    const told = describeFailure(thrown);
    around.writeError(told.text);
    code = told.code;
    refused = told.text === '' ? undefined : told.text;
  }
  return { refused, code, id: (await textOf(file('id'))).trim() };
}

/** What a farm that has gone away since cannot tell costs the job its page, not its build. */
async function storyOf(id: string, { environment, writeError }: BuildSurroundings): Promise<BuildStory | undefined> {
  try {
    await using client = await connect(readConfig(environment));
    return await readStory(client, id, AbortSignal.timeout(STORY_MS));
  } catch (thrown) {
    writeError(`kiln: no summary of build ${id}: ${messageOf(thrown)}\n`);
    return undefined;
  }
}

async function keepFiles(asked: Asked | undefined, outcome: Outcome, cwd: string): Promise<void> {
  if (asked?.metadataFile !== undefined && outcome.metadata !== '')
    await writeFile(resolve(cwd, asked.metadataFile), outcome.metadata);
  if (asked?.summaryFile !== undefined) await writeFile(resolve(cwd, asked.summaryFile), pageOf(outcome));
}

function outsideOf({ cwd, environment }: BuildSurroundings): Outside {
  return {
    cwd,
    environment,
    write: (text) => void process.stdout.write(text),
    run: runCommand,
    nonce: () => randomBytes(16).toString('hex'),
  };
}

async function runCommand(command: string, args: readonly string[], input: string): Promise<boolean> {
  const child = spawn(command, args, { stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = new Promise<boolean>((done) =>
    child.once('error', () => done(false)).once('close', (code) => done(code === 0)),
  );
  // What reads none of its input is judged by its exit code.
  await pipeline(Readable.from([input]), child.stdin).catch(() => undefined);
  return await ended;
}

const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
