import { posix } from 'node:path';
import { type Edge, type GitSource, parseGitUrl, withoutCredentials } from '#graph';
import { type Digest, isDigest } from '#oci';
import { isKilnError } from '#std';
import { invalid } from '../invalid.ts';
import type { StageLowering } from './stage-lowering.ts';

/** Where to put a vertex, and what has been resolved. */
type Place = Pick<StageLowering, 'builder' | 'options' | 'remotes'>;

/** What a source of ADD is, when it is none of the context: a file of the web or a git repository. */
export type RemoteSource =
  | { readonly kind: 'file'; readonly url: string }
  | { readonly kind: 'git'; readonly source: GitSource };

/** A file of the web that has no name. */
const UNNAMED = '__unnamed__';
const MAX_NAME_BYTES = 255;

/** @throws KilnError DOCKERFILE_INVALID for a git URL that cannot be */
export function remoteSource(text: string): RemoteSource | undefined {
  const source = gitSource(text);
  if (source !== undefined) return { kind: 'git', source };
  return /^https?:\/\//.test(text) ? { kind: 'file', url: text } : undefined;
}

/** @throws KilnError DOCKERFILE_INVALID */
export function gitSource(text: string): GitSource | undefined {
  try {
    return parseGitUrl(text);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw invalid(thrown.message, { hint: thrown.hint, cause: thrown });
  }
}

export interface FileOptions {
  readonly checksum: string;
  /** of the file in its tree */
  readonly name: string;
  readonly line: number;
}

/** @throws KilnError DOCKERFILE_INVALID */
export function fileEdge(
  url: string,
  { checksum, name, line }: FileOptions,
  { builder, options, remotes }: Place,
): Edge {
  const digest = remotes.file({ url, checksum: checksumOf(checksum) }, line);
  const shown = withoutCredentials(url);
  return builder.add({ kind: 'http', url: shown, digest, name }, options.buildPlatform, [], internal(shown, line));
}

export function gitEdge(source: GitSource, line: number, { builder, options, remotes }: Place): Edge {
  const { commit, ref } = remotes.repository(source, line);
  const { remote, subdir, submodules } = source;
  const keepGitDir = source.keepGitDir === true && subdir === '';
  const shown = withoutCredentials(remote);
  const op = { kind: 'git', remote: shown, ref, commit, subdir, keepGitDir, submodules } as const;
  return builder.add(op, options.buildPlatform, [], internal(`${shown}#${source.ref}`.replace(/#$/, ''), line));
}

/** The last part of a URL's path: the file's name, as BuildKit has it. */
export function nameInUrl(url: string): string {
  const name = URL.canParse(url) ? posix.basename(decoded(new URL(url).pathname)) : '';
  const usable = name !== '' && name !== '.' && name !== '..' && !/[\0/]/.test(name);
  return usable && Buffer.byteLength(name) <= MAX_NAME_BYTES ? name : UNNAMED;
}

/** A pattern that matches this name and no other. */
export function literal(name: string): string {
  return name.replaceAll(/[\\*?[\]]/g, '\\$&');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** @throws KilnError DOCKERFILE_INVALID */
export function checksumOf(text: string): Digest | undefined {
  if (text === '') return undefined;
  if (isDigest(text)) return text;
  throw invalid(`invalid checksum digest format: ${text}`, {
    hint: 'write --checksum=sha256: and 64 hexadecimal digits',
  });
}

function internal(what: string, line: number): Parameters<StageLowering['builder']['add']>[3] {
  return { name: `[internal] load ${what}`, stage: '', line, ignoreCache: false };
}
