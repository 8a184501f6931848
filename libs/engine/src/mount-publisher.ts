import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContentStore, forEachBounded } from '#content';
import { type Digest } from '#oci';
import { type ManifestFile, type PackJobs, runPackJob } from '#packs';
import type { IdShift } from '#snapshot';
import { isKilnError, KilnError, type Logger, messageOf } from '#std';
import type { CacheMountFolder } from './cache-mount-folder.ts';
import { type CacheMountKind, kindByNames, kindByPlace } from './cache-mount-kind.ts';
import { forgetLost, type MountContent } from './mount-content.ts';
import { type MountCopy, mountOf, type Pending } from './mount-copy.ts';
import { type MountVersion, sameVersion } from './mount-versions.ts';

export interface MountPublisherOptions {
  readonly folder: CacheMountFolder;
  readonly content: ContentStore;
  readonly made: MountContent;
  readonly shift: IdShift;
  /** a directory with more than this stays on this node; 0: all do */
  readonly maxBytes: number;
  readonly logger: Logger;
  /** aborted when there is no time for it any more */
  readonly closing: AbortSignal;
}

type Scanned = Exclude<PackJobs['scan']['reply'], { readonly tooLarge: string }>;

interface Snapshot {
  readonly scanned: Scanned;
  readonly kind: CacheMountKind | undefined;
  readonly manifest: string;
  readonly index: string;
}

const PUT_WIDTH = 4;
/** Others who publish the same mount at the same moment. */
const MAX_MERGES = 5;

/**
 * Makes versions of directories that steps have left. A directory is read while nobody uses it; what was read is stored
 * beside whatever comes next, and becomes a version at once, when it is whole.
 */
export class MountPublisher {
  readonly #options: MountPublisherOptions;

  constructor(options: MountPublisherOptions) {
    this.#options = options;
  }

  /** A failure costs the version, nothing else; it stays pending when a step needs the directory first. */
  async publish(copy: MountCopy, superseded: Pending | undefined): Promise<void> {
    const { folder, logger } = this.#options;
    try {
      await superseded?.release();
      if (copy.pending === undefined) return;
      await using staging = await folder.staging();
      const { pending } = copy;
      // Others need not wait for what cannot be done now.
      if (copy.users > 0 || this.#options.closing.aborted) return await pending.release();
      await using held = new AsyncDisposableStack();
      const snapshot = await this.#read(copy, pending, staging.path);
      if (snapshot === 'interrupted') return await pending.release();
      held.defer(pending.release);
      if (snapshot === undefined) return;
      held.defer(() => {
        copy.uploading = false;
      });
      await this.#store(copy, pending, snapshot, staging.path);
    } catch (thrown) {
      if (isKilnError(thrown, 'FENCED'))
        logger.info('a cache mount is not published: its build has gone', { id: copy.id });
      else logger.warn('a cache mount could not be published', { id: copy.id, error: messageOf(thrown) });
    }
  }

  /** What the directory holds; undefined when there is nothing to publish. Interrupted by a step it stays pending. */
  async #read(copy: MountCopy, pending: Pending, dir: string): Promise<Snapshot | undefined | 'interrupted'> {
    const stop = new AbortController();
    const done = Promise.withResolvers<void>();
    copy.scan = { stop, done: done.promise };
    try {
      const snapshot = await this.#scan(copy, pending, dir, AbortSignal.any([stop.signal, this.#options.closing]));
      copy.pending = undefined;
      copy.interruptions = 0;
      copy.uploading = snapshot !== undefined;
      return snapshot;
    } catch (thrown) {
      if (stop.signal.aborted) return 'interrupted';
      copy.pending = undefined;
      await pending.release();
      throw thrown;
    } finally {
      copy.scan = undefined;
      done.resolve();
    }
  }

  async #scan(copy: MountCopy, { request }: Pending, dir: string, signal: AbortSignal): Promise<Snapshot | undefined> {
    const { folder, shift, maxBytes, content, logger } = this.#options;
    const place = kindByPlace(request.id, request.target);
    const [manifest, index] = [join(dir, 'ours'), join(dir, 'index')];
    let lost: ReadonlySet<Digest> = new Set();
    for (let round = 0; ; round++) {
      const packsDir = join(dir, `packs-${round}`);
      await mkdir(packsDir);
      const scanned = await runPackJob(
        'scan',
        {
          ...{ dir: folder.data(copy.key, copy.number), shift, skip: place?.skip, limits: { maxBytes } },
          ...{ known: folder.index(copy.key, copy.number), lost: [...lost], packsDir, manifest, index },
        },
        signal,
      );
      if ('tooLarge' in scanned) {
        const why = scanned.tooLarge;
        if (copy.tooLarge === undefined) logger.warn('a cache mount stays on this builder', { id: copy.id, why });
        copy.tooLarge ??= { why, told: false };
        return undefined;
      }
      copy.tooLarge = undefined;
      const unchanged = !scanned.changed && !copy.behind && copy.base !== undefined;
      if (unchanged || (copy.base === undefined && scanned.entries <= 1)) return undefined;
      const fresh = new Set(scanned.newPacks.map(({ digest }) => digest));
      const reused = new Set(scanned.packs.map(({ digest }) => digest)).difference(fresh);
      lost = await content.findMissing(reused, signal);
      if (lost.size === 0) return { scanned, kind: place ?? kindByNames(scanned.names), manifest, index };
      if (round > 0) throw new KilnError('BLOB_MISSING', `${lost.size} packs of a cache mount are lost again`);
    }
  }

  async #store(copy: MountCopy, pending: Pending, snapshot: Snapshot, dir: string): Promise<void> {
    const { folder, content, logger, closing: signal, made } = this.#options;
    const { request, versions } = pending;
    const { scanned, kind } = snapshot;
    const mount = mountOf(request);
    const missing = await content.findMissing(new Set(scanned.newPacks.map(({ digest }) => digest)), signal);
    await forEachBounded(scanned.newPacks, PUT_WIDTH, async ({ digest, file }) => {
      if (missing.has(digest)) await content.put(createReadStream(file), digest, signal);
    });
    for (let merges = 0; ; merges++) {
      const newest = (await versions.versions(mount)).find(({ scopeId }) => scopeId === versions.scopeId);
      const merged = await this.#merge(copy, pending, { snapshot, newest, file: join(dir, `merged-${merges}`) });
      const { digest, sizeBytes, packs, bytes, entries } = merged ?? scanned;
      await content.put(createReadStream(merged?.file ?? snapshot.manifest), digest, signal);
      try {
        const published = await versions.publish(mount, {
          ...{ id: request.id, base: copy.base, manifest: digest, sizeBytes: bytes, entries },
          merged: kind === undefined ? undefined : { newest: newest?.version },
          blobs: [{ digest, sizeBytes }, ...packs],
        });
        await folder.replaceIndex(snapshot.index, folder.index(copy.key, copy.number));
        copy.base = { scopeId: versions.scopeId, version: published.version };
        copy.behind = merged !== undefined;
        await made.describe(copy);
        logger.info('a cache mount was published', { id: copy.id, ...published, bytes, entries, kind: kind?.name });
        return;
      } catch (thrown) {
        if (!isKilnError(thrown, 'CONFLICT') || merges >= MAX_MERGES) throw thrown;
      }
    }
  }

  /** With what another builder has published meanwhile; undefined when that is not there to be merged. */
  async #merge(
    copy: MountCopy,
    { request, versions }: Pending,
    { snapshot, newest, file }: { snapshot: Snapshot; newest: MountVersion | undefined; file: string },
  ): Promise<(ManifestFile & { readonly file: string }) | undefined> {
    const { content, folder, closing: signal, made, logger } = this.#options;
    const { kind, scanned, manifest: ours } = snapshot;
    if (kind === undefined || newest === undefined || (sameVersion(newest, copy.base) && !copy.behind))
      return undefined;
    const theirs = `${file}-theirs`;
    try {
      await made.download(newest.manifest, theirs, signal);
      const base = folder.index(copy.key, copy.number);
      const merged = await runPackJob('merge', { base, theirs, ours, manifest: file }, signal);
      const foreign = new Set(merged.packs.map(({ digest }) => digest)).difference(
        new Set(scanned.packs.map(({ digest }) => digest)),
      );
      const [lost] = await content.findMissing(foreign, signal);
      if (lost !== undefined) throw new KilnError('BLOB_MISSING', `blob ${lost} is not in the content store`);
      return { ...merged, file };
    } catch (thrown) {
      if (!isKilnError(thrown, 'BLOB_MISSING', 'BLOB_CORRUPT')) throw thrown;
      logger.warn('a version of a cache mount cannot be read', { id: copy.id, ...newest, error: messageOf(thrown) });
      await forgetLost(versions, request, newest, thrown);
      return undefined;
    }
  }
}
