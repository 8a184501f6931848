import { posix } from 'node:path';
import type { ContentStore, Tree, TreeEntry } from '#content';
import {
  type ContextManifest,
  filterManifest,
  ignoreFilesFor,
  type IgnoreRules,
  noRules,
  parseIgnore,
  treeOf,
} from '#context';
import type { StoredRequest } from '#protocol';
import { collect, KilnError } from '#std';
import type { LocalRef } from './ref.ts';

export interface DockerfileSource {
  /** as the user named it */
  readonly name: string;
  readonly text: string;
}

/** What is built: files, and which of them says how. */
export interface BuildTree {
  readonly context: ContextManifest;
  /** path of the Dockerfile */
  readonly dockerfile: string;
}

export interface OpenedContext {
  readonly dockerfile: DockerfileSource;
  /** what COPY and ADD see: without what .dockerignore leaves out */
  readonly local: LocalRef;
  readonly ignore: IgnoreRules;
}

const TEXT_LIMIT_BYTES = 4 * 1024 * 1024;

/** The Dockerfile and the files of a context, `.dockerignore` applied (whatever the client already left out). */
export async function openContext(
  content: ContentStore,
  { context, dockerfile }: BuildTree,
  { dockerfileText }: Pick<StoredRequest, 'dockerfileText'>,
  signal: AbortSignal,
): Promise<OpenedContext> {
  const files = treeOf(context);
  const read = (path: string): Promise<string | undefined> => readText(content, files, path, signal);
  const name = dockerfile.replace(/^(\.?\/)+/, '');
  const text = dockerfileText ?? (await read(name));
  if (text === undefined) {
    throw new KilnError('DOCKERFILE_INVALID', `there is no ${dockerfile} in the context`, {
      hint: 'name it with --file, or run from the directory that holds it',
    });
  }
  const [own, common] = ignoreFilesFor(name);
  const local = withoutIgnored(context, (await read(own)) ?? (await read(common)) ?? '');
  return {
    dockerfile: { name: dockerfile, text },
    local,
    ignore: local.ignore ?? noRules,
  };
}

/** What COPY --from sees of a named context: without what the `.dockerignore` in its root leaves out. */
export async function openNamedContext(
  content: ContentStore,
  context: ContextManifest,
  signal: AbortSignal,
): Promise<LocalRef> {
  return withoutIgnored(context, (await readText(content, treeOf(context), '.dockerignore', signal)) ?? '');
}

function withoutIgnored(context: ContextManifest, text: string): LocalRef {
  const ignore = parseIgnore(text);
  return { kind: 'local', tree: treeOf(filterManifest(context, ignore)), unfiltered: treeOf(context), ignore };
}

async function readText(
  content: ContentStore,
  files: Tree,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const entry = followLinks(files, path);
  return entry?.digest === undefined
    ? undefined
    : (await collect(content.get(entry.digest, signal), TEXT_LIMIT_BYTES)).toString('utf8');
}

/** The file at a path, links followed inside of the context. */
function followLinks(files: Tree, path: string): TreeEntry | undefined {
  let current = path;
  for (let hops = 0; hops < 32; hops++) {
    const entry = files.get(current);
    if (entry?.type !== 'symlink') return entry;
    const link = entry.link ?? '';
    current = posix.resolve('/', link.startsWith('/') ? '/' : posix.dirname(current), link).slice(1);
  }
  return undefined;
}
