import type { TimedSource } from '#graph';
import { expandWord } from '../expand/expand-word.ts';
import { invalid, onLine } from '../invalid.ts';
import type { Copy, Dockerfile, Stage } from '../parse/ast.ts';
import { Environment } from './environment.ts';
import { given } from './global-scope.ts';
import type { LowerOptions } from './lower-options.ts';
import { checksumOf, remoteSource } from './remote-edges.ts';

export interface EpochStage {
  readonly file: Dockerfile;
  readonly options: LowerOptions;
  readonly scope: Environment;
  /** the argument that is about to get its value */
  readonly own: string;
}

const HINT = 'the stage that SOURCE_DATE_EPOCH names is FROM scratch and one ADD of a URL or git repository';

/** What a stage that is one ADD adds. @throws KilnError DOCKERFILE_INVALID for all other stages */
export function epochStageSource(stage: Stage, { file, options, scope, own }: EpochStage): TimedSource {
  return onLine(stage.from.line, () => {
    const env = new Environment(scope);
    env.delete(own);
    const expand = (word: string): string => expandWord(word, env, { escape: file.escape }).value;
    if (expand(stage.from.base) !== 'scratch') throw refuse('stage must use FROM scratch');
    let source: TimedSource | undefined;
    for (const instruction of stage.instructions) {
      if (instruction.kind === 'arg') {
        for (const { name, value } of instruction.args) {
          const set = given(options.buildArgs, name) ?? (value === undefined ? undefined : expand(value));
          if (set !== undefined) env.set(name, set);
        }
      } else if (instruction.kind === 'add') {
        if (source !== undefined) throw refuse('stage must contain exactly one remote ADD');
        source = added(instruction, expand);
      } else {
        const name = instruction.kind.toUpperCase();
        throw refuse(`stage does not meet source-only requirements: unsupported ${name} instruction`);
      }
    }
    if (source === undefined) throw refuse('stage must contain exactly one remote ADD');
    return source;
  });
}

function added({ sources, inline, checksum }: Copy, expand: (word: string) => string): TimedSource {
  const [first, second] = sources;
  if (first === undefined || second !== undefined || inline.length > 0) {
    throw refuse('stage must contain exactly one remote ADD source');
  }
  const remote = remoteSource(expand(first));
  const wanted = expand(checksum);
  if (remote?.kind === 'git') {
    return { kind: 'git', source: { ...remote.source, checksum: wanted || remote.source.checksum } };
  }
  if (remote?.kind === 'file') return { kind: 'file', query: { url: remote.url, checksum: checksumOf(wanted) } };
  throw refuse('stage source must be a single HTTP(S) or Git ADD');
}

const refuse = (why: string): Error => invalid(`SOURCE_DATE_EPOCH ${why}`, { hint: HINT });
