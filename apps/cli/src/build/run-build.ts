import { hashContext, type KilnClient } from '#client';
import type { BuildResult, BuildView } from '#protocol';
import { KilnError } from '#std';
import type { Call } from '../call/parse-call.ts';
import { printReport } from '../call/print-report.ts';
import type { Config } from '../config.ts';
import { startFarm } from '../farm/start-farm.ts';
import { chooseRenderer } from '../progress/choose-renderer.ts';
import type { ProgressMode } from '../progress/progress-modes.ts';
import type { Renderer, Terminal } from '../progress/client-event.ts';
import { openContext } from './build-context.ts';
import type { BuildOptions } from './build-flags.ts';
import { AheadSends } from './ahead-sends.ts';
import { checkTargets, type Targets } from './check-targets.ts';
import { followBuild } from './follow.ts';
import { Interrupt } from './interrupt.ts';
import { openCaches } from './local-cache.ts';
import { imageId, metadataOf } from './metadata.ts';
import { openLinks } from './linked-builds.ts';
import { type HashDirectory, statCacheIn } from './local-context.ts';
import { readSecrets } from './secrets.ts';
import type { AgentSurroundings, SshAgents } from './ssh-agents.ts';
import { openNamedContexts } from './named-contexts.ts';
import type { Input } from './stdin.ts';
import { type Submission, submit } from './submit.ts';
import { replaceWithText } from './write-file.ts';
import { writeOutputs } from './write-outputs.ts';

/** What a build takes from its process. */
export interface BuildSurroundings {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** where progress goes, if it is a terminal */
  readonly terminal: Terminal | undefined;
  readonly writeError: (text: string) => void;
  readonly nowMs: () => number;
}

/** What several builds of one command share. */
export interface BuildSharing {
  readonly renderer: Renderer;
  readonly signal: AbortSignal;
  readonly hash: HashDirectory;
  readonly ahead: AheadSends;
  /** brings the embedded farm up */
  readonly startFarm: () => Promise<void>;
}

/** How a build ended that was shown; `result` of one that succeeded. */
export interface Ended {
  readonly code: number;
  readonly build?: BuildView;
  readonly result?: BuildResult;
}

/** `kiln build`: gives the exit code. Failures of the build have been shown; all others are thrown. */
export async function runBuild(options: BuildOptions, config: Config, around: BuildSurroundings): Promise<number> {
  using interrupt = new Interrupt();
  const renderer = await chooseRenderer({
    mode: options.progress,
    terminal: around.terminal,
    live: config.live,
    write: around.writeError,
    nowMs: around.nowMs,
  });
  const restore = (): void => renderer.close();
  process.once('exit', restore);
  try {
    const start = (): Promise<void> => startEmbedded(options.progress, config, around, interrupt.signal);
    const sharing = {
      renderer,
      signal: interrupt.signal,
      hash: hashContext,
      ahead: new AheadSends(),
      startFarm: start,
    };
    return (await runShown(options, config, around, sharing)).code;
  } finally {
    process.off('exit', restore);
  }
}

/** One build, shown by a renderer that may show others too. */
export async function runShown(
  options: BuildOptions,
  config: Config,
  around: BuildSurroundings,
  { renderer, signal, hash, ahead, startFarm }: BuildSharing,
): Promise<Ended> {
  try {
    const targets = await checkTargets(options, config, around);
    const note = (text: string): void => renderer.note(text);
    for (const text of options.run.notes) note(text);
    const outside = { cwd: around.cwd, environment: around.environment };
    await using agents = await openAgents(options, outside);
    const secrets = await readSecrets(options.run.secrets, { ...outside, note });
    const reading = { cwd: around.cwd, cache: statCacheIn(config.contextCacheDir), signal, hash };
    await using context = await openContext({ ...options, ...around, ...reading });
    const named = await openNamedContexts(options.buildContexts, reading);
    const linked = await openLinks(options.links, reading);
    const caches = await openCaches(options.cacheFrom, { ...reading, note });
    const submission: Submission = {
      config,
      options,
      context,
      secrets,
      agents: agents?.ids ?? [],
      named,
      linked,
      caches,
      ahead,
      renderer,
      nowMs: around.nowMs,
      interrupted: signal,
      startFarm,
    };
    const { client, build, files, progress } = await submit(submission);
    await using _ = client;
    const asked = agents !== undefined || files !== undefined;
    await using _session = asked ? client.session(build.id, { agents: agents?.answer, files }) : undefined;
    const farm = { url: new URL(build.url).origin, embedded: config.farm === undefined };
    renderer.show({ type: 'accepted', atMs: around.nowMs(), build, farm });
    if (targets.buildId !== undefined) await replaceWithText(targets.buildId, `${build.id}\n`);
    if (options.detach && !signal.aborted) return detach(build, renderer, around);
    const end = await followBuild({ client, buildId: build.id, renderer, progress, interrupted: signal });
    renderer.close();
    if (signal.aborted) return { code: 130 };
    if (end?.type !== 'succeeded') return { code: 1, build };
    const { result } = end;
    await finish({ client, build, result, renderer, around, targets, signal });
    renderer.close();
    if (options.call !== undefined) return { code: tell(result, options.call, around), build, result };
    if (
      options.links === undefined &&
      options.progress === 'quiet' &&
      !targets.files.some(({ kind }) => kind === 'stdout')
    ) {
      around.stdout.write(`${result.digest ?? result.configDigest ?? ''}\n`);
    }
    return { code: 0, build, result };
  } catch (thrown) {
    if (signal.aborted) return { code: 130 };
    throw thrown;
  } finally {
    renderer.close();
  }
}

function tell({ report }: BuildResult, call: Call, { stdout, writeError }: BuildSurroundings): number {
  if (report === undefined) throw new KilnError('INTERNAL', `the farm gave no report to --call=${call.method}`);
  return printReport(report, call, { write: (text) => void stdout.write(text), writeError });
}

async function openAgents({ run }: BuildOptions, around: AgentSurroundings): Promise<SshAgents | undefined> {
  if (run.agents.length === 0) return undefined;
  const { SshAgents } = await import('./ssh-agents.ts');
  return await SshAgents.open(run.agents, around);
}

function detach(build: BuildView, renderer: Renderer, around: BuildSurroundings): Ended {
  renderer.close();
  around.stdout.write(`${build.id}\n`);
  return { code: 0, build };
}

/** Brings the embedded farm up, and shows how. */
export async function startEmbedded(
  mode: ProgressMode,
  config: Config,
  { terminal, writeError }: BuildSurroundings,
  signal: AbortSignal,
): Promise<void> {
  const silent = mode === 'quiet' || mode === 'rawjson';
  const { StartProgress } = await import('../farm/start-progress.ts');
  const progress = new StartProgress(config.live ? terminal : undefined, silent ? () => {} : writeError);
  try {
    await startFarm({ dataDir: config.dataDir, onProgress: (message) => progress.show(message), signal });
  } finally {
    progress.end();
  }
}

interface Finished {
  readonly client: KilnClient;
  readonly build: BuildView;
  readonly result: BuildResult;
  readonly renderer: Renderer;
  readonly around: BuildSurroundings;
  readonly targets: Targets;
  readonly signal: AbortSignal;
}

/** Writes what was asked for; the metadata last, so that who finds it finds the rest. */
async function finish({ targets, around, ...rest }: Finished): Promise<void> {
  const { build, result } = rest;
  await writeOutputs({ ...rest, stdout: around.stdout, targets: targets.files });
  // As docker buildx writes it: the digest of the config, or of an index.
  if (targets.iid !== undefined) await replaceWithText(targets.iid, imageId(result) ?? '');
  if (targets.metadata !== undefined) {
    await replaceWithText(targets.metadata, `${JSON.stringify(metadataOf(build, result), null, 2)}\n`);
  }
}
