import type { Lowered, SourceResolver } from '#graph';
import { type Platform, type RunConfig, samePlatform } from '#oci';
import { lintCopyOrder } from '../lint/copy-order.ts';
import { lintFile } from '../lint/file-rules.ts';
import { Findings } from '../lint/findings.ts';
import { lintFroms } from '../lint/from-rules.ts';
import { lintImages } from '../lint/image-rules.ts';
import { lintStage } from '../lint/stage-rules.ts';
import type { Dockerfile, Instruction } from '../parse/ast.ts';
import { parseTrigger } from '../parse/parse-dockerfile.ts';
import { checkBuildArgs } from './build-args.ts';
import type { Environment } from './environment.ts';
import { globalScope } from './global-scope.ts';
import { lintOfBuild } from './lint-of-build.ts';
import type { LowerOptions } from './lower-options.ts';
import { LoweringFailure } from './lowering-failure.ts';
import { checkNoCacheFilter } from './no-cache-filter.ts';
import { StageLowerer } from './lower-stages.ts';
import { triggerFailure } from './onbuild-failure.ts';
import { checkOrder, StagePlanner } from './plan-stages.ts';
import { RemoteBook } from './remote-book.ts';
import { ImageBook } from './resolve-images.ts';
import { scannedTrees } from './scanned-trees.ts';
import { sourceDateEpoch } from './source-date-epoch.ts';
import { neededImages, reachable, type StagePlan } from './stage-plan.ts';

/**
 * A Dockerfile as a graph: only what the target needs is resolved, and only that is in the definition.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED with the line, and what the resolver throws
 */
export async function lowerDockerfile(
  file: Dockerfile,
  given: LowerOptions,
  resolver: SourceResolver,
  signal?: AbortSignal,
): Promise<Lowered> {
  const findings = new Findings(lintOfBuild(file, given));
  lintFile(file, findings);
  try {
    const { lowerer, target, options, scope, epochSeconds } = await lowerStages({
      file,
      options: given,
      resolver,
      findings,
      signal,
    });
    findings.enforce();
    const state = lowerer.done(target);
    return {
      definition: lowerer.builder.finish(state.root),
      platform: platformOf(state.platform, options),
      config: withLabels(state.runConfig(), options.labels),
      author: state.author,
      epochSeconds,
      base: state.image,
      history: state.wholeHistory,
      steps: lowerer.steps.list(),
      scanned: scannedTrees({ lowerer, target, options, scope }),
      warnings: findings.warnings(),
    };
  } catch (thrown) {
    throw LoweringFailure.of(thrown, findings);
  }
}

export interface Lowering {
  readonly file: Dockerfile;
  readonly options: LowerOptions;
  readonly resolver: SourceResolver;
  readonly findings: Findings;
  /** every stage is lowered, whatever the target needs */
  readonly all?: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface LoweredStages {
  readonly lowerer: StageLowerer;
  readonly target: StagePlan;
  /** with what SOURCE_DATE_EPOCH makes of them */
  readonly options: LowerOptions;
  readonly scope: Environment;
  readonly epochSeconds: number | undefined;
}

/** Everything up to the graph, with the checks that go with it. */
export async function lowerStages({
  file,
  options: given,
  resolver,
  findings,
  all,
  signal,
}: Lowering): Promise<LoweredStages> {
  const scope = globalScope(file, given);
  const { options, epochSeconds } = await sourceDateEpoch({ file, options: given, scope, resolver, signal });
  lintFroms(file, options, scope, findings);
  const planner = new StagePlanner(file, options, scope);
  const plans = planner.plan();
  const target = planner.target();
  checkBuildArgs(file, options, scope, findings);
  checkNoCacheFilter(file, options, findings);
  const images = new ImageBook(
    resolver,
    plans.flatMap(({ from }) => from.name ?? []),
    signal,
  );
  const needed = await resolveNeeded(all === true ? plans : [target], planner, images);
  for (const plan of needed) {
    lintStage(plan.instructions, findings);
    lintImages(plan, images, findings);
    const stage = file.stages[plan.index];
    if (stage !== undefined) lintCopyOrder(file, stage, options.contextFiles, findings);
  }
  const nameStages = plans.length > 1 || needed.some((plan) => neededImages(plan).some((image) => image !== plan.base));
  const remotes = new RemoteBook(resolver, signal);
  let lowerer: StageLowerer;
  do {
    lowerer = new StageLowerer({ file, options, scope, findings, images, remotes, nameStages });
    for (const plan of needed) {
      signal?.throwIfAborted();
      lowerer.lower(plan);
    }
  } while (await remotes.settle());
  return { lowerer, target, options, scope, epochSeconds };
}

/** Resolves what the wanted stages need, and what the triggers of their bases need besides. */
async function resolveNeeded(
  wanted: readonly StagePlan[],
  planner: StagePlanner,
  images: ImageBook,
): Promise<readonly StagePlan[]> {
  for (;;) {
    const needed = [...new Set(wanted.flatMap(reachable))].sort((a, b) => a.index - b.index);
    needed.forEach(checkOrder);
    await images.resolve(needed.flatMap(neededImages));
    const waiting = needed.filter((plan) => !plan.triggersKnown);
    if (waiting.length === 0) return needed;
    for (const plan of waiting) {
      plan.triggersKnown = true;
      const triggers = triggersOf(plan, images);
      if (triggers.length > 0) planner.addTriggers(plan, triggers);
    }
  }
}

/** ONBUILD of what a stage stands on; its own children do not get them again. */
function triggersOf(plan: StagePlan, images: ImageBook): readonly Instruction[] {
  const { base, from } = plan;
  if (base.kind === 'scratch' || base.kind === 'context') return [];
  const texts =
    base.kind === 'built'
      ? (base.lowered.config.OnBuild ?? [])
      : base.kind === 'image'
        ? (images.get(base).config.config?.OnBuild ?? [])
        : base.plan.instructions.flatMap(({ instruction }) =>
            instruction.kind === 'onbuild' ? [instruction.argument] : [],
          );
  return texts.map((text) => {
    try {
      return parseTrigger(text, from.line);
    } catch (thrown) {
      throw triggerFailure(thrown, plan, text);
    }
  });
}

function withLabels(config: RunConfig, labels: LowerOptions['labels']): RunConfig {
  return Object.keys(labels).length === 0 ? config : { ...config, Labels: { ...config.Labels, ...labels } };
}

/** A platform that was asked for is the image's; else it is that of the stage. */
function platformOf(stage: Platform, { platform, platformAsked, buildPlatform }: LowerOptions): Platform {
  return platformAsked !== true && samePlatform(platform, buildPlatform) ? stage : platform;
}
