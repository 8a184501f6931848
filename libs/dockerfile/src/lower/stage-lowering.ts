import type { DefinitionBuilder, Edge } from '#graph';
import { type ExpandOptions, expandWord } from '../expand/expand-word.ts';
import type { Dockerfile, Located } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import type { Environment } from './environment.ts';
import type { Findings } from '../lint/findings.ts';
import type { LowerOptions } from './lower-options.ts';
import type { RemoteBook } from './remote-book.ts';
import type { Source } from './stage-plan.ts';
import type { StageState } from './stage-state.ts';
import type { VertexNames } from './vertex-names.ts';

/** All that the lowering of one instruction reads and writes. */
export interface StageLowering {
  readonly builder: DefinitionBuilder;
  readonly file: Dockerfile;
  readonly options: LowerOptions;
  readonly scope: Environment;
  readonly findings: Findings;
  readonly state: StageState;
  readonly names: VertexNames;
  /** whether this instruction is a trigger of the base */
  readonly onbuild: boolean;
  /** files and repositories that are not of the context */
  readonly remotes: RemoteBook;
  /** the tree of a COPY --from */
  readonly sourceOf: (source: Source) => Edge;
}

/** Of a here-document that becomes a file, in characters: no process takes it as an argument. */
const TEXT_LIMIT = 4 * 1024 * 1024;

/** What the client sent: one for the whole build, whatever the platform. */
export function contextEdge({ builder, options }: Pick<StageLowering, 'builder' | 'options'>): Edge {
  return builder.add({ kind: 'local', name: options.contextName ?? 'context' }, options.buildPlatform, [], {
    name: '[internal] load build context',
    stage: '',
    line: 0,
    ignoreCache: false,
  });
}

/** Expands a word of an instruction; names that mean nothing are told. */
export function expandIn(lowering: StageLowering, node: Located, word: string): string {
  return expanded(lowering, node, word, { escape: lowering.file.escape });
}

/** The same for a here-document: quotes are characters like all others. */
export function expandText(lowering: StageLowering, node: Located, text: string): string {
  return expanded(lowering, node, text, { escape: '\\', plainQuotes: true, limit: TEXT_LIMIT });
}

function expanded({ state, findings }: StageLowering, node: Located, word: string, options: ExpandOptions): string {
  const { value, unmatched } = expandWord(word, state.env, options);
  // What an image sets that nobody could be asked for is not known.
  if (state.image?.unresolved === true) return value;
  for (const name of unmatched) {
    const names = state.env.names();
    state.env.meter.copy(names.length + state.buildArgs.length);
    if (state.buildArgs.some((arg) => arg.name === name)) continue;
    const near = didYouMean(name, names).replace('did you mean ', 'did you mean $');
    findings.report('UndefinedVar', `Usage of undefined variable '$${name}'${near}`, node);
  }
  return value;
}
