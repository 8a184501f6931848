import type { ImageResolver, Lowered } from '#graph';
import { type Platform, type RunConfig, samePlatform } from '#oci';
import { atLine } from '../invalid.ts';
import type { Dockerfile, Instruction } from '../parse/ast.ts';
import { parseTrigger } from '../parse/parse-dockerfile.ts';
import { checkBuildArgs } from './build-args.ts';
import { Findings } from './findings.ts';
import { globalScope } from './global-scope.ts';
import type { LowerOptions } from './lower-options.ts';
import { StageLowerer } from './lower-stages.ts';
import { checkOrder, StagePlanner } from './plan-stages.ts';
import { ImageBook } from './resolve-images.ts';
import { sourceDateEpoch } from './source-date-epoch.ts';
import { neededImages, reachable, type StagePlan } from './stage-plan.ts';

/**
 * A Dockerfile as a graph: only what the target needs is resolved, and only that is in the definition.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED with the line, and what the resolver throws
 */
export async function lowerDockerfile(
  file: Dockerfile,
  given: LowerOptions,
  resolver: ImageResolver,
  signal?: AbortSignal,
): Promise<Lowered> {
  const findings = new Findings(file);
  const scope = globalScope(file, given);
  const { options, epochSeconds } = sourceDateEpoch(file, given, scope);
  const planner = new StagePlanner(file, options, scope, findings);
  const plans = planner.plan();
  const target = planner.target();
  checkBuildArgs(file, options, scope, findings);
  const images = new ImageBook(
    resolver,
    plans.flatMap(({ from }) => from.name ?? []),
    signal,
  );
  const needed = await resolveNeeded(target, planner, images);
  const nameStages = plans.length > 1 || needed.some((plan) => neededImages(plan).some((image) => image !== plan.base));
  const lowerer = new StageLowerer({ file, options, scope, findings, images, nameStages });
  for (const plan of needed) {
    signal?.throwIfAborted();
    lowerer.lower(plan);
  }
  const state = lowerer.done(target);
  return {
    definition: lowerer.builder.finish(state.root),
    platform: platformOf(state.platform, options),
    config: withLabels(state.runConfig(), options.labels),
    author: state.author,
    epochSeconds,
    base: state.image,
    history: state.history,
    warnings: findings.finish(),
  };
}

/** Resolves what the target needs, and what the triggers of its bases need besides. */
async function resolveNeeded(
  target: StagePlan,
  planner: StagePlanner,
  images: ImageBook,
): Promise<readonly StagePlan[]> {
  for (;;) {
    const needed = reachable(target);
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
function triggersOf({ base, from }: StagePlan, images: ImageBook): readonly Instruction[] {
  if (base.kind === 'scratch') return [];
  const texts =
    base.kind === 'image'
      ? (images.get(base).config.config?.OnBuild ?? [])
      : base.plan.instructions.flatMap(({ instruction }) =>
          instruction.kind === 'onbuild' ? [instruction.argument] : [],
        );
  return texts.map((text) => {
    try {
      return parseTrigger(text, from.line);
    } catch (thrown) {
      throw atLine(thrown, from.line);
    }
  });
}

function withLabels(config: RunConfig, labels: LowerOptions['labels']): RunConfig {
  return Object.keys(labels).length === 0 ? config : { ...config, Labels: { ...config.Labels, ...labels } };
}

/** A platform that was asked for is the image's; else it is that of the stage. */
function platformOf(stage: Platform, { platform, buildPlatform }: LowerOptions): Platform {
  return samePlatform(platform, buildPlatform) ? stage : platform;
}
