import { invalid, onLine, unsupported } from '../invalid.ts';
import type { Dockerfile } from '../parse/ast.ts';
import type { Environment } from './environment.ts';
import { given } from './global-scope.ts';
import type { LowerOptions } from './lower-options.ts';

const NAME = 'SOURCE_DATE_EPOCH';
/** The last second that a date in an image's config can name: the year 9999. */
const MAX_SECONDS = 253_402_300_799;

/**
 * Of the build argument, or of a global ARG's default: when the image was made, in seconds since 1970; undefined when it
 * is empty or not there. The value is put into plain decimal in the scope and among the build arguments of what comes
 * back, and an empty one is taken away, so that steps see what BuildKit shows them.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED where it names the context or a stage
 */
export function sourceDateEpoch(
  file: Dockerfile,
  options: LowerOptions,
  scope: Environment,
): { readonly epochSeconds: number | undefined; readonly options: LowerOptions } {
  const argument = given(options.buildArgs, NAME);
  const text = argument ?? scope.get(NAME) ?? '';
  const declared = file.globalArgs.find(({ args }) => args.some(({ name }) => name === NAME));
  const line = argument === undefined ? declared?.line : undefined;
  const epochSeconds =
    text === '' ? undefined : line === undefined ? parse(text, file) : onLine(line, () => parse(text, file));
  if (scope.get(NAME) !== undefined && epochSeconds !== undefined) scope.set(NAME, String(epochSeconds));
  if (scope.get(NAME) === '') scope.delete(NAME);
  if (argument === undefined) return { epochSeconds, options };
  const { [NAME]: _written, ...others } = options.buildArgs;
  const buildArgs = epochSeconds === undefined ? others : { ...others, [NAME]: String(epochSeconds) };
  return { epochSeconds, options: { ...options, buildArgs } };
}

function parse(text: string, { stages }: Dockerfile): number {
  const seconds = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(seconds) <= MAX_SECONDS) return seconds + 0;
  if (text === 'context' || stages.some(({ from }) => from.name === text.toLowerCase())) {
    throw unsupported(`${NAME}=${text}, the time of a source,`, {
      hint: 'pass seconds since 1970, such as $(git log -1 --format=%ct)',
    });
  }
  throw invalid(`invalid ${NAME}: ${text}`, { hint: 'it is seconds since 1970, such as 1700000000' });
}
