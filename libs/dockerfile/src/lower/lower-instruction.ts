import { unreachable } from '#std';
import { invalid } from '../invalid.ts';
import type { Listed, Single } from '../parse/ast.ts';
import {
  lowerArg,
  lowerCommand,
  lowerHealthcheck,
  lowerMaintainer,
  lowerOnbuild,
  lowerPairs,
  lowerShell,
  lowerStopSignal,
  lowerUser,
  lowerVolume,
} from './lower-config.ts';
import { lowerCopy } from './lower-copy.ts';
import { lowerExpose } from './lower-expose.ts';
import { lowerRun, lowerWorkdir } from './lower-run.ts';
import type { StageLowering } from './stage-lowering.ts';
import { isForKiln } from './step-comments.ts';
import type { PlannedInstruction } from './stage-plan.ts';

/** Moves the stage on by one instruction. @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED */
export function lowerInstruction(planned: PlannedInstruction, lowering: StageLowering): void {
  const { instruction, source } = planned;
  const misplaced = instruction.kind === 'run' ? undefined : instruction.comments.find(isForKiln);
  if (misplaced !== undefined) {
    throw invalid(`# ${misplaced} stands above ${instruction.keyword}`, { hint: 'such comments are for RUN' });
  }
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return lowerPairs(instruction, lowering);
    case 'arg':
      return lowerArg(instruction, lowering);
    case 'run':
      return lowerRun(instruction, planned.mountSources, lowering);
    case 'cmd':
    case 'entrypoint':
      return lowerCommand(instruction, lowering);
    case 'copy':
    case 'add':
      return lowerCopy(instruction, source, lowering);
    case 'healthcheck':
      return lowerHealthcheck(instruction, lowering);
    case 'expose':
    case 'volume':
    case 'shell':
      return listed[instruction.kind](instruction, lowering);
    case 'workdir':
    case 'user':
    case 'stopsignal':
    case 'maintainer':
    case 'onbuild':
      return singles[instruction.kind](instruction, lowering);
    default:
      return unreachable(instruction);
  }
}

const listed: Readonly<Record<Listed['kind'], (node: Listed, lowering: StageLowering) => void>> = {
  expose: lowerExpose,
  volume: lowerVolume,
  shell: lowerShell,
};

const singles: Readonly<Record<Single['kind'], (node: Single, lowering: StageLowering) => void>> = {
  workdir: lowerWorkdir,
  user: lowerUser,
  stopsignal: lowerStopSignal,
  maintainer: lowerMaintainer,
  onbuild: lowerOnbuild,
};
