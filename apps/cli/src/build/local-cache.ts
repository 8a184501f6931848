import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hashPaths, type StatCache } from '#client';
import { type CacheSource, NamedContext } from '#protocol';
import { messageOf } from '#std';
import { z } from 'zod';
import type { GivenCache } from './caches.ts';
import type { NamedLocalContext } from './local-context.ts';

/** Caches, ready to be asked for; those in directories are sent as layouts. */
export interface OpenedCaches {
  readonly requests: readonly CacheSource[];
  readonly contexts: Readonly<Record<string, NamedContext>>;
  readonly local: readonly NamedLocalContext[];
}

const Entry = z.looseObject({ mediaType: z.string().optional(), digest: z.string() });
const Index = z.object({
  manifests: z.array(Entry.extend({ annotations: z.record(z.string(), z.string()).optional() })),
});
/** A manifest of blobs, or an index of them. */
const Listing = z.object({
  config: Entry.optional(),
  layers: z.array(Entry).default([]),
  manifests: z.array(Entry).default([]),
});
const REF_NAME = 'org.opencontainers.image.ref.name';
const KILN = 'application/vnd.kiln.';
const BUILDKIT_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';

interface CacheOptions {
  readonly cwd: string;
  readonly cache: StatCache | undefined;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A directory without a cache is told of and passed over, as docker buildx does: the first build of a job has none. */
export async function openCaches(
  given: readonly GivenCache[],
  { cwd, cache: statCache, note, signal }: CacheOptions,
): Promise<OpenedCaches> {
  const requests: CacheSource[] = [];
  const contexts: Record<string, NamedContext> = {};
  const local: NamedLocalContext[] = [];
  for (const cache of given) {
    if (cache.type === 'registry') {
      requests.push(cache);
      continue;
    }
    const directory = resolve(cwd, cache.path);
    try {
      const digest = cache.digest ?? (await digestIn(directory, cache.tag));
      const files = await filesOf(directory, digest);
      const context = `cache-from:${requests.length}:${cache.path.replaceAll(/[^\w./-]/g, '_').slice(-128)}`;
      const layout = NamedContext.parse({ type: 'ociLayout', digest });
      if (layout.type !== 'ociLayout') continue;
      const hashed = await hashPaths(directory, files, { cache: statCache, signal });
      contexts[context] = layout;
      local.push({ kind: 'files', name: context, hashed, ahead: [] });
      requests.push({ type: 'local', context, digest: layout.digest });
    } catch (thrown) {
      signal.throwIfAborted();
      note(`--cache-from ${cache.path} is not used: ${messageOf(thrown)}`);
    }
  }
  return { requests, contexts, local };
}

async function digestIn(directory: string, tag: string): Promise<string> {
  const { manifests } = Index.parse(await readJson(join(directory, 'index.json')));
  const found = manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag);
  if (found === undefined) throw new Error(`there is no cache ${tag} in it`);
  return found.digest;
}

const pathOf = (digest: string): string => {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${JSON.stringify(digest)} is no digest`);
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
};

/** Of a cache all that it lists; of one that the farm cannot use only what tells so. */
async function filesOf(directory: string, digest: string): Promise<readonly string[]> {
  const top = pathOf(digest);
  const { config, layers, manifests } = Listing.parse(await readJson(join(directory, top)));
  const listed = [...(config === undefined ? [] : [config]), ...layers, ...manifests];
  const isKilns = listed.some(({ mediaType }) => mediaType?.startsWith(KILN));
  const wanted = isKilns ? listed : listed.filter((each) => each.mediaType === BUILDKIT_CONFIG || each === config);
  const files: string[] = [];
  for (const path of new Set(wanted.map((each) => pathOf(each.digest)))) {
    const found = await stat(join(directory, path)).catch(() => undefined);
    // What is not there is for the farm to do without.
    if (found?.isFile() === true) files.push(path);
  }
  return [top, ...files];
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
