import type { SourceResolver } from '#graph';
import { lintOfBuild } from '../lower/lint-of-build.ts';
import { lowerStages } from '../lower/lower-dockerfile.ts';
import type { LowerOptions } from '../lower/lower-options.ts';
import { Findings } from '../lint/findings.ts';
import { parseDockerfile } from '../parse/parse-dockerfile.ts';
import { descriptionOf } from './description.ts';
import { ForgivingResolver } from './forgiving-resolver.ts';
import { type OutlineArgument, OutlineArguments } from './outline-arguments.ts';

/** Something that a RUN asks the client for. */
export interface OutlineMount {
  readonly name: string;
  readonly required: boolean;
  readonly line: number;
  readonly endLine: number;
}

/** What a target can be given. */
export interface Outline {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly args: readonly OutlineArgument[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

/**
 * Parses and lowers, and runs nothing; a base image that cannot be had is no failure.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED
 */
export async function outlineDockerfile(
  text: string,
  options: LowerOptions,
  resolver: SourceResolver,
  signal?: AbortSignal,
): Promise<Outline> {
  const file = parseDockerfile(text);
  const findings = new Findings(lintOfBuild(file, options));
  const forgiving = new ForgivingResolver(resolver);
  const { lowerer, target } = await lowerStages({ file, options, resolver: forgiving, findings, signal });
  const endOf = new Map(
    file.stages.flatMap(({ instructions }) => instructions.map((each) => [each.line, each.endLine])),
  );
  const mounts = { secret: new Map<string, OutlineMount>(), ssh: new Map<string, OutlineMount>() };
  for (const { op, label } of lowerer.builder.finish(lowerer.done(target).root).vertices.values()) {
    for (const mount of op.kind === 'exec' ? (op.mounts ?? []) : []) {
      if (mount.type !== 'secret' && mount.type !== 'ssh') continue;
      const { line } = label;
      const known = mounts[mount.type].get(mount.id);
      const required = mount.required || known?.required === true;
      const place = known ?? { line, endLine: endOf.get(line) ?? line };
      mounts[mount.type].set(mount.id, { ...place, name: mount.id, required });
    }
  }
  const byLine = (found: ReadonlyMap<string, OutlineMount>): OutlineMount[] =>
    [...found.values()].sort((a, b) => a.line - b.line);
  return {
    name: target.from.name,
    description: descriptionOf(target.from.comments, target.from.name),
    args: new OutlineArguments(file, options, lowerer).of(target),
    secrets: byLine(mounts.secret),
    ssh: byLine(mounts.ssh),
  };
}
