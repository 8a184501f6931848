import type { ScannedTree } from '#graph';
import { contextEdge } from './stage-lowering.ts';
import type { Environment } from './environment.ts';
import type { StageLowerer } from './lower-stages.ts';
import type { LowerOptions } from './lower-options.ts';
import { reachable, type StagePlan } from './stage-plan.ts';

const CONTEXT = 'BUILDKIT_SBOM_SCAN_CONTEXT';
const STAGE = 'BUILDKIT_SBOM_SCAN_STAGE';
/** They say which stages are scanned for a bill of materials, and are for no process. */
export const scanSwitches: ReadonlySet<string> = new Set([CONTEXT, STAGE]);

export interface Scanned {
  readonly lowerer: StageLowerer;
  readonly target: StagePlan;
  readonly options: LowerOptions;
  readonly scope: Environment;
}

/** What the Dockerfile wants scanned besides its result: the context, and stages that the result needs, by their names. */
export function scannedTrees({ lowerer, target, options, scope }: Scanned): readonly ScannedTree[] {
  const { builder } = lowerer;
  const isOn = (plan: StagePlan, name: string): boolean => {
    const declared = lowerer.done(plan).buildArgs.findLast((arg) => arg.name === name && arg.value !== undefined);
    return isEnabled(nameOf(plan), declared?.value ?? scope.get(name) ?? '');
  };
  const stages = reachable(target).filter((plan) => plan !== target && isOn(plan, STAGE));
  // As in BuildKit, a stage of this name takes the context's place.
  const trees = new Map(isOn(target, CONTEXT) ? [['context', contextEdge({ builder, options })]] : []);
  for (const plan of stages) trees.set(nameOf(plan), lowerer.done(plan).root);
  return [...trees].map(([name, root]) => ({ name, definition: builder.finish(root) }));
}

const nameOf = ({ from, index }: StagePlan): string => from.name ?? `stage-${index}`;

/** As Go reads a boolean; else a list of the stages that are meant. */
function isEnabled(stage: string, value: string): boolean {
  if (/^(?:1|t|true|T|TRUE|True)$/.test(value)) return true;
  return value.split(',').includes(stage);
}
