import { Inject, Injectable } from '@nestjs/common';
import type { ContentStore, TreeEntry } from '#content';
import {
  type ContextLimits,
  type ContextManifest,
  type IngestedContext,
  ingestTar,
  manifestBytes,
  readManifest,
} from '#context';
import type { Digest } from '#oci';
import type { ContextView } from '#protocol';
import { type Bytes, KilnError } from '#std';
import type { BlobIndex, ContextStore, KnownContext, SizedBlob } from '#storage';
import { type ApiConfig, sentLimitBytes } from '../config.ts';
import * as tokens from '../tokens.ts';
import { ClaimedFiles, MAX_MANIFEST_BYTES } from './claimed-files.ts';
import { SentMeter } from './sent-meter.ts';
import { checkRoom, type Room, withinRoom } from './sent-quota.ts';

/** Takes contexts for a project: with their files, or by their manifests alone. */
@Injectable()
export class TakeContext {
  readonly #config: ApiConfig;
  readonly #content: ContentStore;
  readonly #blobs: BlobIndex;
  readonly #contexts: ContextStore;

  constructor(
    @Inject(tokens.CONFIG) config: ApiConfig,
    @Inject(tokens.CONTENT) content: ContentStore,
    @Inject(tokens.BLOBS) blobs: BlobIndex,
    @Inject(tokens.CONTEXTS) contexts: ContextStore,
  ) {
    this.#config = config;
    this.#content = content;
    this.#blobs = blobs;
    this.#contexts = contexts;
  }

  /**
   * What the project's clients may still send.
   * @param beyond part of the quota that is given on top, for what tells of files that may be there already
   * @throws KilnError LIMIT_EXCEEDED when that is nothing
   */
  async room(projectId: string, beyond = 0): Promise<Room> {
    const room = await this.#room(projectId, beyond);
    checkRoom(room, 0);
    return room;
  }

  /** The same for a blob, which needs none where it counts already. @throws KilnError LIMIT_EXCEEDED */
  async roomFor(projectId: string, digest: Digest): Promise<Room> {
    const counts = (await this.#blobs.sent(projectId, [digest])).has(digest);
    const infinite = Number.POSITIVE_INFINITY;
    return counts ? { limitBytes: infinite, leftBytes: infinite } : await this.room(projectId);
  }

  /**
   * The files of an archive, as far as the project has sent them before or has room for them. They count from here on, whatever
   * becomes of the archive: else who sends some that are refused could fill the store, and nobody would know with what.
   * @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED, UNAVAILABLE
   */
  async ingest(projectId: string, source: Bytes, limits: ContextLimits, signal: AbortSignal): Promise<IngestedContext> {
    await this.room(projectId, MANIFESTS);
    const meter = new SentMeter({
      store: this.#content,
      room: await this.#room(projectId, 0),
      mostBytes: limits.maxBytes,
      sent: (digests) => this.#blobs.sent(projectId, digests),
      has: (digest) => this.#has(projectId, digest, signal),
      charge: (blobs) => this.#blobs.chargeSent(projectId, blobs),
    });
    try {
      return await ingestTar(source, meter.store, limits, signal);
    } finally {
      await meter.settle();
    }
  }

  /** One whose files have just been stored. @throws KilnError UNAVAILABLE */
  async whole(
    projectId: string,
    manifest: ContextManifest,
    files: readonly SizedBlob[],
    signal: AbortSignal,
  ): Promise<KnownContext> {
    const blob = await this.#putManifest(projectId, manifestBytes(manifest), signal);
    const known = knownAs(blob, countsOf(manifest));
    if (await this.#contexts.isKept(projectId, known.digest)) return known;
    await this.keep(projectId, files, signal);
    // After its files: they are kept at least as long.
    await this.keep(projectId, [blob], signal);
    await this.#contexts.put(projectId, known, true);
    return known;
  }

  /**
   * One by its manifest, as it comes; its files come later. What the farm has of another project counts for nothing.
   * @throws KilnError CONTEXT_INVALID, INVALID_ARGUMENT, LIMIT_EXCEEDED, UNAVAILABLE
   */
  async claimed(projectId: string, manifest: Bytes, signal: AbortSignal): Promise<ContextView> {
    const claimed = new ClaimedFiles(this.#config.KILN_CONTEXT_MAX_BYTES);
    const onEntry = (entry: TreeEntry): void => claimed.add(entry);
    const canonical = readManifest(manifest, { maxBytes: MAX_MANIFEST_BYTES, onEntry });
    const blob = await this.#putManifest(projectId, canonical, signal);
    const missing: Digest[] = [];
    let wrong: KilnError | undefined;
    for (const sizes of claimed.batches(RENEWED)) {
      signal.throwIfAborted();
      const had = await this.#blobs.renew(projectId, [...sizes.keys()]);
      for (const [digest, size] of sizes) {
        const known = had.get(digest);
        if (known === undefined) missing.push(digest);
        else if (known !== size)
          wrong ??= new KilnError('CONTEXT_INVALID', `the context says that ${digest} has ${size} bytes, not ${known}`);
      }
    }
    // After its files: they are kept at least as long. One that is refused is there, too.
    await this.keep(projectId, [blob], signal);
    if (wrong !== undefined) throw wrong;
    const known = knownAs(blob, claimed);
    await this.#contexts.put(projectId, known, missing.length === 0);
    return { ...known, missing };
  }

  /** One that was taken before. @throws KilnError NOT_FOUND */
  async known(projectId: string, digest: Digest, field: string): Promise<KnownContext> {
    const found = await this.#contexts.get(projectId, digest);
    if (found !== undefined && (await this.#blobs.renew(projectId, [digest])).has(digest)) return found;
    throw new KilnError('NOT_FOUND', `there is no context ${digest}`, {
      field,
      hint: 'send its manifest to /v1/contexts first',
    });
  }

  /**
   * One that a build had, for another: its files are kept as long as they are there. Those that no build ever asked for
   * never came.
   * @throws KilnError NOT_FOUND when the context itself is gone
   */
  async again(projectId: string, digest: Digest): Promise<void> {
    await this.known(projectId, digest, 'context');
    const claimed = new ClaimedFiles();
    const onEntry = (entry: TreeEntry): void => claimed.add(entry);
    for await (const _ of readManifest(this.#content.get(digest), { maxBytes: MAX_MANIFEST_BYTES, onEntry }));
    for (const sizes of claimed.batches(RENEWED)) await this.#blobs.renew(projectId, [...sizes.keys()]);
  }

  /** Blobs that were just put are the project's. @throws KilnError UNAVAILABLE when the collector was quicker */
  async keep(projectId: string, blobs: readonly SizedBlob[], signal: AbortSignal): Promise<void> {
    const doubtful = await this.#blobs.keepSent(projectId, blobs);
    if (doubtful.size === 0 || (await this.#content.findMissing(doubtful, signal)).size === 0) return;
    throw new KilnError('UNAVAILABLE', 'files of the context were collected while it was sent', {
      hint: 'send it again',
    });
  }

  async #room(projectId: string, beyond: number): Promise<Room> {
    const limitBytes = sentLimitBytes(this.#config) ?? Number.POSITIVE_INFINITY;
    return { limitBytes, leftBytes: limitBytes * (1 + beyond) - (await this.#blobs.sentBytes(projectId)) };
  }

  async #has(projectId: string, digest: Digest, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#blobs.sent(projectId, [digest])).has(digest)) return false;
    if (!(await this.#blobs.renew(projectId, [digest])).has(digest)) return false;
    return (await this.#content.findMissing(new Set([digest]), signal)).size === 0;
  }

  /** It counts from here on, as files do. */
  async #putManifest(projectId: string, bytes: Bytes, signal: AbortSignal): Promise<SizedBlob> {
    const room = await this.room(projectId, MANIFESTS);
    const blob = await this.#content.put(withinRoom(bytes, room), undefined, signal);
    await this.#blobs.chargeSent(projectId, [blob]);
    return blob;
  }
}

/** A project that may send no more files still builds of those that it has sent: for that it has to announce them. */
const MANIFESTS = 0.125;
/** Contents that are asked for at a time. */
const RENEWED = 2_000;

function countsOf({ entries }: ContextManifest): Pick<KnownContext, 'files' | 'sizeBytes'> {
  let files = 0;
  let sizeBytes = 0;
  for (const { type, size = 0 } of entries) {
    if (type !== 'dir') files++;
    sizeBytes += size;
  }
  return { files, sizeBytes };
}

const knownAs = (
  { digest }: SizedBlob,
  { files, sizeBytes }: Pick<KnownContext, 'files' | 'sizeBytes'>,
): KnownContext => ({
  digest,
  files,
  sizeBytes,
});
