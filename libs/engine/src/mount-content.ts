import { createWriteStream } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ContentStore, forEachBounded } from '#content';
import { type Digest, hexOf } from '#oci';
import { type Pack, runPackJob } from '#packs';
import { type IdShift, removeTree } from '#snapshot';
import { type Clock, isKilnError, type Logger, messageOf } from '#std';
import type { CacheMountFolder } from './cache-mount-folder.ts';
import { kindByNames, kindByPlace } from './cache-mount-kind.ts';
import {
  type CacheMountRequest,
  type CacheMountUse,
  megabytes,
  type MountCopy,
  mountOf,
  UNREADABLE,
} from './mount-copy.ts';
import { type MountVersion, type MountVersions, sameVersion } from './mount-versions.ts';

export interface MountContentOptions {
  readonly folder: CacheMountFolder;
  readonly content: ContentStore;
  readonly shift: IdShift;
  readonly clock: Clock;
  readonly logger: Logger;
}

const FETCH_WIDTH = 4;
/** How often a step's log hears of a fetch that takes long. */
const PROGRESS_MS = 5_000;
/** What is here may be as large as it is. */
const NO_LIMITS = { maxBytes: Number.MAX_SAFE_INTEGER };

/** Makes directories of cache mounts what the farm has: fetched for the step that is about to use them, never before. */
export class MountContent {
  readonly #options: MountContentOptions;
  #describing: Promise<void> = Promise.resolve();

  constructor(options: MountContentOptions) {
    this.#options = options;
  }

  /** A new directory: of the best version that can be read, else as it is to begin. */
  async create(copy: MountCopy, request: CacheMountRequest, use: CacheMountUse): Promise<void> {
    const { folder } = this.#options;
    const candidates = (await use.versions?.versions(mountOf(request))) ?? [];
    await folder.create(copy.key, copy.number, async (data, index) => {
      for (const version of candidates) {
        if (!(await this.#fetch({ copy, request, use, version, data, index }))) continue;
        copy.base = idOf(version);
        return;
      }
      if (candidates.length > 0) use.note(`cache mount ${request.id}: begins anew`);
      await use.fill(data);
    });
    copy.made = true;
    await this.describe(copy);
  }

  /** A directory that is here, and nobody uses: brought to the newest version where another builder has made one. */
  async refresh(copy: MountCopy, request: CacheMountRequest, use: CacheMountUse): Promise<void> {
    const { folder } = this.#options;
    const [version] = (await use.versions?.versions(mountOf(request))) ?? [];
    // What it has to publish comes first: it is merged then, or takes the place of the other.
    if (version === undefined || copy.pending !== undefined || copy.uploading) return;
    if (sameVersion(version, copy.base) && !copy.behind) return;
    const [data, index] = [folder.data(copy.key, copy.number), folder.index(copy.key, copy.number)];
    if (await this.#fetch({ copy, request, use, version, data, index })) {
      copy.base = idOf(version);
      copy.behind = false;
      await this.describe(copy);
    } else if (!copy.made) await this.create(copy, request, use);
  }

  /** Puts on disk what is known of a copy, one after the other: the last to be written is the newest. */
  async describe(copy: MountCopy): Promise<void> {
    const written = this.#describing.then(async () => {
      const { key, number, id, scope, usedAtMs, sizeBytes, base, behind, torn } = copy;
      await this.#options.folder.describe(key, number, { id, scope, usedAtMs, sizeBytes, base, behind, torn });
    });
    this.#describing = written.catch(() => undefined);
    await written;
  }

  /** @returns whether the directory is that version now; when not, it is as it was, or there is none any more */
  async #fetch(fetch: Fetch): Promise<boolean> {
    const { copy, request, use, version } = fetch;
    const { folder, logger } = this.#options;
    await using staging = await folder.staging();
    const about = `version ${version.version}, from branch ${version.scope}`;
    try {
      const bytes = await this.#make(fetch, staging.path);
      if (bytes === undefined) return false;
      use.note(`cache mount ${request.id}: ${megabytes(bytes)} fetched (${about})`);
      await use.versions?.used(mountOf(request), version);
      return true;
    } catch (thrown) {
      use.signal.throwIfAborted();
      if (!isKilnError(thrown, ...UNREADABLE)) throw thrown;
      use.note(`cache mount ${request.id}: cannot be read (${about}): ${messageOf(thrown)}`);
      logger.warn('a version of a cache mount cannot be read', { id: copy.id, ...version, error: messageOf(thrown) });
      await forgetLost(use.versions, request, version, thrown);
      return false;
    }
  }

  /** @returns bytes that came, or undefined when the directory is better left alone */
  async #make({ copy, request, use, version, data, index }: Fetch, dir: string): Promise<number | undefined> {
    const { shift } = this.#options;
    const { signal } = use;
    const [ours, theirs] = [join(dir, 'ours'), join(dir, 'theirs')];
    let [from, to]: [string | undefined, string] = [undefined, theirs];
    let kind = kindByPlace(request.id, request.target);
    if (copy.made) {
      const scanned = await runPackJob(
        'scan',
        {
          ...{ dir: data, shift, skip: kind?.skip, limits: NO_LIMITS, known: index, lost: [], packsDir: undefined },
          ...{ manifest: join(dir, 'manifest'), index: ours },
        },
        signal,
      );
      if ('tooLarge' in scanned) return undefined;
      kind ??= kindByNames(scanned.names);
      from = ours;
    }
    await this.download(version.manifest, theirs, signal);
    if (from !== undefined && kind !== undefined) {
      to = join(dir, 'target');
      await runPackJob('merge', { base: index, theirs, ours, manifest: to }, signal);
    }
    const needed = await runPackJob('plan', { from, to }, signal);
    const packs = await this.#stage(needed, { dir, request, use });
    await this.#apply({ copy, data, signal }, { dir: data, shift, from, to, packs, index: join(dir, 'index') }, index);
    return needed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** From here on the old is gone: what is found half made is removed. */
  async #apply(
    { copy, data, signal }: Pick<Fetch, 'copy' | 'data'> & { readonly signal: AbortSignal },
    job: Parameters<typeof runPackJob<'apply'>>[1],
    index: string,
  ): Promise<void> {
    const { folder } = this.#options;
    copy.torn = copy.made;
    if (copy.torn) await this.describe(copy);
    try {
      await runPackJob('apply', job, signal);
      await folder.replaceIndex(job.index, index);
    } catch (thrown) {
      if (copy.made) {
        copy.made = false;
        await folder.remove(copy.key, copy.number);
      } else {
        await removeTree(data);
        await mkdir(data);
        await chmod(data, 0o755);
      }
      throw thrown;
    } finally {
      copy.torn = false;
    }
  }

  /** A blob as a file, verified. @throws KilnError BLOB_MISSING, BLOB_CORRUPT, UPSTREAM_UNAVAILABLE */
  async download(digest: Digest, file: string, signal: AbortSignal): Promise<void> {
    const source = Readable.from(this.#options.content.get(digest, signal), { objectMode: false });
    await pipeline(source, createWriteStream(file, { mode: 0o600 }), { signal });
  }

  async #stage(
    packs: readonly Pack[],
    { dir, request, use }: { readonly dir: string; readonly request: CacheMountRequest; readonly use: CacheMountUse },
  ): Promise<ReadonlyMap<Digest, string>> {
    const { clock } = this.#options;
    const files = new Map<Digest, string>();
    const total = packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    let done = 0;
    let saidAtMs = clock.nowMs();
    await forEachBounded(packs, FETCH_WIDTH, async ({ digest, sizeBytes }) => {
      const file = join(dir, hexOf(digest));
      await this.download(digest, file, use.signal);
      files.set(digest, file);
      done += sizeBytes;
      if (clock.nowMs() - saidAtMs < PROGRESS_MS) return;
      saidAtMs = clock.nowMs();
      use.note(`cache mount ${request.id}: ${megabytes(done)} of ${megabytes(total)}`);
    });
    return files;
  }
}

interface Fetch {
  readonly copy: MountCopy;
  readonly request: CacheMountRequest;
  readonly use: CacheMountUse;
  readonly version: MountVersion;
  readonly data: string;
  readonly index: string;
}

const idOf = ({ scopeId, version }: MountVersion): MountCopy['base'] => ({ scopeId, version });

/** What is lost is not asked for again; a store that is away comes back. */
export async function forgetLost(
  versions: MountVersions | undefined,
  request: CacheMountRequest,
  version: MountVersion,
  thrown: unknown,
): Promise<void> {
  if (isKilnError(thrown, 'BLOB_MISSING', 'BLOB_CORRUPT')) await versions?.forget(mountOf(request), version);
}
