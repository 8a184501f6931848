import { type ContextManifest, makeManifest } from '#context';
import { parseGitUrl, withoutCredentials } from '#graph';
import { KilnError } from '#std';
import type { BuildTree } from './dockerfile-source.ts';
import { unpackArchive } from './fetched-archive.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { pinnedTree } from './part-pins.ts';
import type { Sources } from './sources.ts';

/** What a file is called that is a context of its own, as BuildKit has it. */
const FILE_NAME = 'context';
const DEFAULT_DOCKERFILE = 'Dockerfile';

/**
 * What a build is of: what the client sent, or where the request says that it is: a git repository, an archive by URL, or a
 * Dockerfile by URL. A part is of what its build found there.
 */
export async function mainContext(node: EngineNode, job: BuildJobInput, sources: Sources): Promise<BuildTree> {
  const pinned = job.part?.pins.context;
  if (pinned !== undefined) {
    return { context: await pinnedTree(pinned.tree, node.content, job.signal), dockerfile: pinned.dockerfile };
  }
  const { dockerfile, contexts, buildArgs } = job.request;
  const main = contexts['context'];
  if (main === undefined || main.type === 'local') return { context: job.context, dockerfile };
  if (main.type === 'git') {
    const kept = Object.hasOwn(buildArgs, 'BUILDKIT_CONTEXT_KEEP_GIT_DIR')
      ? /^(?:1|t|true)$/i.test(buildArgs['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? '')
      : false;
    return { context: await gitContext(main.url, kept, sources), dockerfile };
  }
  if (main.type === 'http') {
    const { context, archive } = await fileContext(main.url, { node, job, sources });
    return { context, dockerfile: archive || dockerfile !== DEFAULT_DOCKERFILE ? dockerfile : FILE_NAME };
  }
  throw new KilnError('INVALID_ARGUMENT', `a build cannot be of an image (contexts.context is ${main.type})`, {
    hint: 'name a directory, a git repository or an archive',
  });
}

async function gitContext(url: string, kept: boolean, sources: Sources): Promise<ContextManifest> {
  const source = parseGitUrl(url);
  if (source === undefined) throw new KilnError('INVALID_ARGUMENT', `not a git URL: ${withoutCredentials(url)}`);
  const { commit, ref } = await sources.repository(source);
  const { subdir, submodules } = source;
  const keepGitDir = (kept || source.keepGitDir === true) && subdir === '';
  return await sources.gitTree({
    remote: withoutCredentials(source.remote),
    ref,
    commit,
    subdir,
    keepGitDir,
    submodules,
  });
}

interface Fetching {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly sources: Sources;
}

async function fileContext(
  url: string,
  { node, job, sources }: Fetching,
): Promise<{ readonly context: ContextManifest; readonly archive: boolean }> {
  const { signal } = job;
  const { digest, sizeBytes: size, mtime } = await sources.files.get({ url, checksum: undefined }, signal);
  const context = await unpackArchive({ url, digest }, { node, trees: sources.trees, signal });
  if (context !== undefined) return { context, archive: true };
  const entry = { path: FILE_NAME, type: 'file', mode: 0o600, uid: 0, gid: 0, mtime, size, digest } as const;
  return { context: makeManifest([entry]), archive: false };
}
