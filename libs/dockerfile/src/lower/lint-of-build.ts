import { isKilnError, KilnError } from '#std';
import { type LintOptions, parseLintOptions } from '../lint/lint-options.ts';
import type { Dockerfile } from '../parse/ast.ts';
import { given } from './global-scope.ts';
import type { LowerOptions } from './lower-options.ts';

/** A build argument that stands for the directive, whatever that says. */
export const CHECK_ARG = 'BUILDKIT_DOCKERFILE_CHECK';

/**
 * What a build asks of the checks.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function lintOfBuild(
  { lint }: Pick<Dockerfile, 'lint'>,
  { buildArgs }: Pick<LowerOptions, 'buildArgs'>,
): LintOptions {
  const text = given(buildArgs, CHECK_ARG);
  if (text === undefined) return lint;
  try {
    return parseLintOptions(text);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    const { code, message, hint } = thrown;
    throw new KilnError(code, `the build argument ${CHECK_ARG}: ${message}`, { hint, cause: thrown });
  }
}
