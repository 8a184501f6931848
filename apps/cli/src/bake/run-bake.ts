import pLimit from 'p-limit';
import { hashContext } from '#client';
import type { BuildResult, BuildView } from '#protocol';
import { once } from '#std';
import { AheadSends } from '../build/ahead-sends.ts';
import { Interrupt } from '../build/interrupt.ts';
import type { HashDirectory } from '../build/local-context.ts';
import { metadataOf } from '../build/metadata.ts';
import { withSurroundings } from '../build/order-flags.ts';
import { type BuildSharing, type BuildSurroundings, type Ended, runShown, startEmbedded } from '../build/run-build.ts';
import { checkTarget, replaceWithText } from '../build/write-file.ts';
import type { Config } from '../config.ts';
import { chooseTargetsRenderer } from '../progress/targets-renderer.ts';
import type { ProgressMode } from '../progress/progress-modes.ts';
import { named, type TargetBuild } from './target-options.ts';

/** Builds that this command has with the farm at a time; the others wait for one to end. */
const PARALLEL = 16;

export interface Baking {
  readonly targets: readonly TargetBuild[];
  readonly progress: ProgressMode;
  readonly metadataFile: string | undefined;
  /** what concerns all targets */
  readonly notes: readonly string[];
}

/** Builds all targets side by side: gives the exit code. A failure cancels the others. */
export async function runBake(baking: Baking, config: Config, around: BuildSurroundings): Promise<number> {
  const { targets, progress } = baking;
  const metadata =
    baking.metadataFile === undefined
      ? undefined
      : await checkTarget('--metadata-file', baking.metadataFile, around.cwd);
  using interrupt = new Interrupt();
  const failed = new AbortController();
  const signal = AbortSignal.any([interrupt.signal, failed.signal]);
  const renderers = await chooseTargetsRenderer({
    ...{ mode: progress, terminal: around.terminal, live: config.live, write: around.writeError, nowMs: around.nowMs },
    names: targets.map(({ name }) => name),
  });
  const restore = (): void => renderers.close();
  process.once('exit', restore);
  const shared = {
    hash: sharedHash(),
    ahead: new AheadSends(),
    startFarm: once(() => startEmbedded(progress, config, around, signal)),
  };
  // Reports come one after the other.
  const limit = pLimit(targets.some(({ options }) => options.call !== undefined) ? 1 : PARALLEL);
  try {
    for (const note of baking.notes) renderers.note(note);
    const settled = await Promise.allSettled(
      targets.map((target) =>
        limit(async () => {
          if (signal.aborted) return { code: 130 };
          return await buildOne(
            target,
            { ...shared, signal, renderer: renderers.of(target.name) },
            { config, around, failed },
          );
        }),
      ),
    );
    renderers.close();
    if (interrupt.signal.aborted) return 130;
    const thrown = settled.find((each) => each.status === 'rejected');
    if (thrown !== undefined) throw thrown.reason;
    const ended = settled.map((each): Ended => (each.status === 'fulfilled' ? each.value : { code: 1 }));
    if (metadata !== undefined && ended.every(({ result }) => result !== undefined))
      await replaceWithText(metadata, metadataText(targets, ended));
    return ended.find(({ code }) => code !== 0 && code !== 130)?.code ?? (ended.some(({ code }) => code !== 0) ? 1 : 0);
  } finally {
    renderers.close();
    process.off('exit', restore);
  }
}

interface Around {
  readonly config: Config;
  readonly around: BuildSurroundings;
  readonly failed: AbortController;
}

async function buildOne(
  { name, options, stdin, notes }: TargetBuild,
  sharing: BuildSharing,
  { config, around, failed }: Around,
): Promise<Ended> {
  try {
    for (const note of notes) sharing.renderer.note(note);
    if (options.call !== undefined) around.stdout.write(`${name}\n\n`);
    const order = withSurroundings(options.order, options.path, around);
    const ended = await runShown({ ...options, order }, config, { ...around, stdin }, sharing);
    // A report that finds something is no reason to give no others.
    if (ended.code !== 0 && options.call === undefined) failed.abort(new Error(`${name} failed`));
    return ended;
  } catch (thrown) {
    failed.abort(thrown);
    throw named(name, thrown);
  }
}

/** Every directory is walked once, whoever of the targets it is a context of. */
function sharedHash(): HashDirectory {
  const made = new Map<string, ReturnType<HashDirectory>>();
  return async (directory, options = {}) => {
    const { dockerfile, ignoreFiles } = options;
    const key = JSON.stringify([directory, dockerfile, ignoreFiles]);
    const known = made.get(key) ?? hashContext(directory, options);
    made.set(key, known);
    return await known;
  };
}

/** By target, as docker buildx bake writes it. */
function metadataText(targets: readonly TargetBuild[], ended: readonly Ended[]): string {
  const complete = (end: Ended | undefined): end is { code: number; build: BuildView; result: BuildResult } =>
    end?.build !== undefined && end.result !== undefined;
  const all = targets.flatMap(({ name }, index) => {
    const end = ended[index];
    return complete(end) ? [[name, metadataOf(end.build, end.result)] as const] : [];
  });
  return `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`;
}
