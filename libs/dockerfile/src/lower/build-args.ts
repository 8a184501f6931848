import type { Dockerfile } from '../parse/ast.ts';
import { checkSyntax } from '../parse/syntax.ts';
import type { Environment } from './environment.ts';
import type { Findings } from '../lint/findings.ts';
import type { LowerOptions } from './lower-options.ts';
import { CHECK_ARG } from './lint-of-build.ts';

/** BuildKit hands them to RUN undeclared, outside of the cache's keys. */
const proxy = /^(?:https?|ftp|no|all)_proxy$/i;

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
    .filter((name) => !declared.has(name) && !forTheBuild.test(name))
    .sort();
  const proxies = unused.filter((name) => proxy.test(name));
  const others = unused.filter((name) => !proxy.test(name));
  if (proxies.length > 0) {
    to.note(`[Warning] [${proxies.join(' ')}] reach RUN only where the Dockerfile declares them with ARG`);
  }
  if (others.length > 0) to.note(`[Warning] One or more build-args [${others.join(' ')}] were not consumed`);
}
