import type { ContentStore, TreeEntry } from '#content';
import { type IngestedContext, makeManifest } from '#context';
import type { Digest } from '#oci';
import type { BuildRequest } from '#protocol';
import { collect, single } from '#std';

/** As docker's client calls a Dockerfile that is not of the context: https://github.com/docker/cli/blob/master/cli/command/image/build/context.go */
const ADDED = /^\.dockerfile\.[0-9a-f]{20}$/;
const ADDED_MODE = 0o600;
const IGNORE = '.dockerignore';
const TEXT_LIMIT_BYTES = 4 * 1024 * 1024;

export interface Sent {
  readonly request: BuildRequest;
  readonly context: IngestedContext;
}

/**
 * Takes out of a context what docker's client put into it for `-f -`, or for a Dockerfile from elsewhere: a file with a name of
 * its own for each build, and a line in .dockerignore that leaves it out. With them, every `COPY . .` would be another.
 * What does not look like that in all its parts stays as it came.
 */
export async function withoutAddedDockerfile(
  { request, context }: Sent,
  content: ContentStore,
  signal: AbortSignal,
): Promise<Sent> {
  const { dockerfile: name } = request;
  const { entries } = context.manifest;
  const added = ADDED.test(name) ? entries.find(({ path }) => path === name) : undefined;
  const ignore = entries.find(({ path }) => path === IGNORE);
  if (added?.mode !== ADDED_MODE || !isOwnFile(added, entries) || !isOwnFile(ignore, entries))
    return { request, context };
  const read = ({ digest }: { readonly digest: Digest }): Promise<Buffer> =>
    collect(content.get(digest, signal), TEXT_LIMIT_BYTES);
  const dockerfileText = (await read(added)).toString();
  const ignored = await read(ignore);
  const line = Buffer.from(`\n${name}\n`);
  if (!ignored.subarray(-line.length).equals(line) || dockerfileText.includes('\0')) return { request, context };
  const before = await content.put(single(ignored.subarray(0, -line.length)), undefined, signal);
  const kept = entries
    .filter((entry) => entry !== added)
    .map((entry) => (entry === ignore ? { ...entry, size: before.sizeBytes, digest: before.digest } : entry));
  return {
    request: { ...request, dockerfileText },
    context: {
      ...context,
      manifest: makeManifest(kept),
      digests: new Map([...context.digests, [before.digest, before.sizeBytes]]),
    },
  };
}

/** A small one, of one name. */
function isOwnFile(
  entry: TreeEntry | undefined,
  entries: readonly TreeEntry[],
): entry is TreeEntry & { readonly digest: Digest } {
  return (
    entry?.digest !== undefined &&
    entry.hardlink === undefined &&
    (entry.size ?? 0) <= TEXT_LIMIT_BYTES &&
    !entries.some(({ hardlink }) => hardlink === entry.path)
  );
}
