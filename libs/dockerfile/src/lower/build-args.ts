import type { Dockerfile } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import { checkSyntax } from '../parse/syntax.ts';
import type { Environment } from './environment.ts';
import type { Findings } from '../lint/findings.ts';
import type { LowerOptions } from './lower-options.ts';
import { isProxy } from './proxy-environment.ts';

/** For the build itself, whatever the Dockerfile declares. */
const forTheBuild = /^(?:BUILDKIT_[A-Z_]+|SOURCE_DATE_EPOCH)$/;

/**
 * Tells of build arguments that no ARG declares, as they do nothing.
 * @throws KilnError DOCKERFILE_UNSUPPORTED when BUILDKIT_SYNTAX asks for another front end
 */
export function checkBuildArgs(file: Dockerfile, { buildArgs }: LowerOptions, scope: Environment, to: Findings): void {
  const declared = new Set(scope.names());
  const declare = (names: readonly { readonly name: string }[]): void => {
    for (const { name } of names) declared.add(name);
  };
  for (const { args } of file.globalArgs) declare(args);
  for (const { instructions } of file.stages) {
    for (const instruction of instructions) if (instruction.kind === 'arg') declare(instruction.args);
  }
  if (Object.hasOwn(buildArgs, 'BUILDKIT_SYNTAX')) checkSyntax(buildArgs['BUILDKIT_SYNTAX'] ?? '');
  const unused = Object.keys(buildArgs)
    .filter((name) => !declared.has(name) && !forTheBuild.test(name) && !isProxy(name))
    .sort();
  if (unused.length === 0) return;
  // BuildKit's words, without the `[Warning]` in front: every warning is shown as one.
  const near = unused.map((name) => didYouMean(name, [...declared])).find((text) => text !== '') ?? '';
  to.note(`One or more build-args [${unused.join(' ')}] were not consumed${near}`);
}
