import type { SourceResolver, TimedSource } from '#graph';
import { atLine, invalid } from '../invalid.ts';
import type { Dockerfile } from '../parse/ast.ts';
import type { Environment } from './environment.ts';
import { epochStageSource } from './epoch-stage.ts';
import { given } from './global-scope.ts';
import type { LowerOptions } from './lower-options.ts';
import { NamedContexts } from './named-contexts.ts';
import { gitSource } from './remote-edges.ts';

const NAME = 'SOURCE_DATE_EPOCH';
/** The last second that a date in an image's config can name: the year 9999. */
const MAX_SECONDS = 253_402_300_799;

export interface EpochQuestion {
  readonly file: Dockerfile;
  readonly options: LowerOptions;
  readonly scope: Environment;
  readonly resolver: SourceResolver;
  readonly signal: AbortSignal | undefined;
}

export interface EpochAnswer {
  readonly epochSeconds: number | undefined;
  readonly options: LowerOptions;
}

/**
 * Of the build argument, or of a global ARG's default: when the image was made, in seconds since 1970; undefined when it
 * is empty, not there, or that of a source that has no time. It may be a number, or the time of a source: `context`, the name
 * of a named context, or of a stage that is one ADD. The value is put into plain decimal in the scope and among the build
 * arguments of what comes back, and an empty one is taken away, so that steps see what BuildKit shows them.
 * @throws KilnError DOCKERFILE_INVALID, and what the resolver throws
 */
export async function sourceDateEpoch(question: EpochQuestion): Promise<EpochAnswer> {
  const { file, options, scope } = question;
  const argument = given(options.buildArgs, NAME);
  const text = argument ?? scope.get(NAME) ?? '';
  const declared = file.globalArgs.find(({ args }) => args.some(({ name }) => name === NAME));
  const line = argument === undefined ? declared?.line : undefined;
  const epochSeconds = await secondsOf(text, question).catch((thrown: unknown) => {
    throw line === undefined ? thrown : atLine(thrown, line);
  });
  if (epochSeconds === undefined) scope.delete(NAME);
  else if (scope.get(NAME) !== undefined) scope.set(NAME, String(epochSeconds));
  if (argument === undefined) return { epochSeconds, options };
  const { [NAME]: _written, ...others } = options.buildArgs;
  const buildArgs = epochSeconds === undefined ? others : { ...others, [NAME]: String(epochSeconds) };
  return { epochSeconds, options: { ...options, buildArgs } };
}

async function secondsOf(text: string, question: EpochQuestion): Promise<number | undefined> {
  if (text === '') return undefined;
  const seconds = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(seconds) <= MAX_SECONDS) return seconds + 0;
  const source = Number.isNaN(seconds) ? sourceOf(text, question) : undefined;
  if (source === undefined) {
    throw invalid(`invalid ${NAME}: ${text}`, {
      hint: 'it is seconds since 1970, such as 1700000000, or context, or the name of a stage that is one ADD',
    });
  }
  return source === 'timeless' ? undefined : await question.resolver.time(source, question.signal);
}

function sourceOf(text: string, { file, options, scope }: EpochQuestion): TimedSource | 'timeless' | undefined {
  if (text === 'context') return { kind: 'context' };
  const contexts = new NamedContexts(options);
  const target = contexts.target(text);
  const named = target === undefined ? contexts.find(text, options.platform, 0, () => undefined) : undefined;
  if (named !== undefined) {
    if (named.kind !== 'context' || named.context.type === 'local') return 'timeless';
    const { type, url } = named.context;
    const source = type === 'git' ? gitSource(url) : undefined;
    return source === undefined ? { kind: 'file', query: { url, checksum: undefined } } : { kind: 'git', source };
  }
  const stage = file.stages.find(({ from }) => from.name === (target ?? text).toLowerCase());
  return stage === undefined ? undefined : epochStageSource(stage, { file, options, scope, own: NAME });
}
