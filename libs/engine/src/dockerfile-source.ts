import { posix } from 'node:path';
import type { ContentStore, TreeEntry } from '#content';
import { type ContextManifest, filterManifest, ignoreFilesFor, type IgnoreRules, parseIgnore, treeOf } from '#context';
import type { StoredRequest } from '#protocol';
import { collect, KilnError } from '#std';
import type { LocalRef } from './ref.ts';

export interface DockerfileSource {
  /** as the user named it */
  readonly name: string;
  readonly text: string;
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
  context: ContextManifest,
  request: StoredRequest,
  signal: AbortSignal,
): Promise<OpenedContext> {
  const files = new Map(context.entries.map((entry) => [entry.path, entry]));
  const read = async (path: string): Promise<string | undefined> => {
    const entry = followLinks(files, path);
    return entry?.digest === undefined
      ? undefined
      : (await collect(content.get(entry.digest, signal), TEXT_LIMIT_BYTES)).toString('utf8');
  };
  const name = request.dockerfile.replace(/^(\.?\/)+/, '');
  const text = request.dockerfileText ?? (await read(name));
  if (text === undefined) {
    throw new KilnError('DOCKERFILE_INVALID', `there is no ${request.dockerfile} in the context`, {
      hint: 'name it with --file, or run from the directory that holds it',
    });
  }
  const [own, common] = ignoreFilesFor(name);
  const ignore = parseIgnore((await read(own)) ?? (await read(common)) ?? '');
  const visible = filterManifest(context, ignore);
  return {
    dockerfile: { name: request.dockerfile, text },
    local: { kind: 'local', tree: treeOf(visible), unfiltered: treeOf(context), ignore },
    ignore,
  };
}

/** The file at a path, links followed inside of the context. */
function followLinks(files: ReadonlyMap<string, TreeEntry>, path: string): TreeEntry | undefined {
  let current = path;
  for (let hops = 0; hops < 32; hops++) {
    const entry = files.get(current);
    if (entry?.type !== 'symlink') return entry;
    const link = entry.link ?? '';
    current = posix.resolve('/', link.startsWith('/') ? '/' : posix.dirname(current), link).slice(1);
  }
  return undefined;
}
