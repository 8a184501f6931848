import { parseDockerfile } from '../parse/parse-dockerfile.ts';
import { descriptionOf } from './description.ts';

/** A stage, as it can be built with --target. */
export interface Target {
  readonly name: string | undefined;
  readonly description: string | undefined;
  /** built when no target is named */
  readonly default: boolean;
  /** as the file has it, variables and all */
  readonly base: string;
  readonly platform: string | undefined;
  readonly line: number;
  readonly endLine: number;
}

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED */
export function listTargets(text: string): readonly Target[] {
  return parseDockerfile(text).stages.map(({ from }, index, { length }) => ({
    name: from.name,
    description: descriptionOf(from.comments, from.name),
    default: index === length - 1,
    base: from.base,
    platform: from.platform,
    line: from.line,
    endLine: from.endLine,
  }));
}
