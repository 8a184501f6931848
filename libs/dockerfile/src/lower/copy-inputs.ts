import { type CopySources, type Edge, withoutCredentials } from '#graph';
import { invalid } from '../invalid.ts';
import type { Copy } from '../parse/ast.ts';
import { pivotedPath, sourcePath } from './copy-paths.ts';
import { fileEdge, gitEdge, literal, nameInUrl, type RemoteSource, remoteSource } from './remote-edges.ts';
import { expandIn, type StageLowering } from './stage-lowering.ts';
import type { Source } from './stage-plan.ts';

/** What a copy takes, and from where. */
export interface CopyInputs {
  readonly from: readonly CopySources[];
  /** those of {@link CopySources.input}, from number 1 */
  readonly inputs: readonly Edge[];
}

/**
 * The sources of COPY and ADD in their order: paths of the context (or of --from), and for ADD files of the web and git
 * repositories, each an input of its own.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED
 */
export function copyInputs(
  copy: Copy,
  sources: readonly string[],
  source: Source | undefined,
  lowering: StageLowering,
): CopyInputs {
  const remotes = sources.map(remoteSource);
  const checksum = expandIn(lowering, copy, copy.checksum);
  check(copy, remotes, checksum);
  const inputs: Edge[] = [];
  const numberOf = (edge: Edge): number => {
    const known = inputs.findIndex(({ vertex }) => vertex === edge.vertex);
    return known === -1 ? inputs.push(edge) : known + 1;
  };
  const from: CopySources[] = [];
  const unpack = copy.unpack ?? copy.kind === 'add';
  for (const [index, text] of sources.entries()) {
    const remote = remotes[index];
    if (remote !== undefined) {
      from.push(remoteInput(copy, remote, checksum, numberOf, lowering));
      continue;
    }
    const input = numberOf(source === undefined ? contextEdge(lowering) : lowering.sourceOf(source));
    const pattern = copy.parents ? pivotedPath(text) : sourcePath(text);
    const last = from.at(-1);
    if (last?.input === input && remotes[index - 1] === undefined) {
      from[from.length - 1] = { ...last, patterns: [...last.patterns, pattern] };
    } else from.push({ input, patterns: [pattern], ...(unpack ? { unpack } : {}) });
  }
  return { from, inputs };
}

function remoteInput(
  copy: Copy,
  remote: RemoteSource,
  checksum: string,
  numberOf: (edge: Edge) => number,
  lowering: StageLowering,
): CopySources {
  const { line } = copy;
  if (remote.kind === 'file') {
    const name = nameInUrl(remote.url);
    const input = numberOf(fileEdge(remote.url, { checksum, name, line }, lowering));
    return { input, patterns: [literal(name)], ...(copy.unpack === true ? { unpack: true } : {}) };
  }
  const { source } = remote;
  if (copy.keepGitDir !== undefined && source.keepGitDir !== undefined && copy.keepGitDir !== source.keepGitDir) {
    throw invalid('inconsistent keep-git-dir configuration', { hint: 'say it in the flag or in the URL' });
  }
  if (checksum !== '' && source.checksum !== '' && checksum !== source.checksum) {
    throw invalid(`checksum mismatch ${JSON.stringify(checksum)} != ${JSON.stringify(source.checksum)}`, {
      hint: 'say it in the flag or in the URL',
    });
  }
  const wanted = {
    ...source,
    checksum: checksum || source.checksum,
    keepGitDir: copy.keepGitDir ?? source.keepGitDir,
  };
  return { input: numberOf(gitEdge(wanted, line, lowering)), patterns: ['.'] };
}

function check(copy: Copy, remotes: readonly (RemoteSource | undefined)[], checksum: string): void {
  const at = remotes.findIndex((remote) => remote !== undefined);
  const first = remotes[at];
  if (first !== undefined && copy.kind === 'copy') {
    throw invalid(`source can't be ${first.kind === 'git' ? 'a git ref' : 'a URL'} for COPY`, {
      hint: `write ADD ${withoutCredentials(copy.sources[at] ?? '')} in its place`,
    });
  }
  if (checksum === '') return;
  if (remotes.length !== 1) {
    throw invalid("checksum can't be specified for multiple sources", { hint: 'write an ADD for each of them' });
  }
  if (first === undefined) {
    throw invalid('checksum requires HTTP(S) or Git sources', {
      hint: 'leave --checksum out: files of the context are always checked',
    });
  }
}

/** One for the whole build, whatever the platform. */
function contextEdge({ builder, options }: StageLowering): Edge {
  return builder.add({ kind: 'local', name: options.contextName ?? 'context' }, options.buildPlatform, [], {
    name: '[internal] load build context',
    stage: '',
    line: 0,
    ignoreCache: false,
  });
}
