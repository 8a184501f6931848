import { isKilnError } from '#std';
import { parseShortPlatform, type Platform } from '#oci';
import { expandWord } from '../expand/expand-word.ts';
import { invalid } from '../invalid.ts';
import type { Dockerfile, From } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import type { Environment } from './environment.ts';
import type { LowerOptions } from './lower-options.ts';

/**
 * Of `FROM --platform`; one word alone is a system or an architecture.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function stagePlatform(
  from: From,
  file: Dockerfile,
  scope: Environment,
  { buildPlatform }: LowerOptions,
): Platform | undefined {
  if (from.platform === undefined) return undefined;
  const { value, unmatched } = expandWord(from.platform, scope, { escape: file.escape });
  const near = [...unmatched].map((name) => didYouMean(name, scope.names())).find((text) => text !== '') ?? '';
  if (value === '')
    throw invalid(`empty platform value from expression ${from.platform}${near}`, {
      hint: 'name a platform such as linux/amd64, or declare the argument with a default before the first FROM',
    });
  try {
    return parseShortPlatform(value, { os: 'linux', architecture: buildPlatform.architecture });
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw invalid(`failed to parse platform ${from.platform}: ${thrown.message}${near}`, {
      hint: thrown.hint,
      cause: thrown,
    });
  }
}
