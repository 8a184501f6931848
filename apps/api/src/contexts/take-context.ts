import { Inject, Injectable } from '@nestjs/common';
import type { ContentStore } from '#content';
import { type ContextManifest, decodeManifest, encodeManifest } from '#context';
import { type Digest, digestOf } from '#oci';
import type { ContextView } from '#protocol';
import { collect, KilnError, single } from '#std';
import type { BlobIndex, ContextStore, KnownContext, SizedBlob } from '#storage';
import type { ApiConfig } from '../config.ts';
import * as tokens from '../tokens.ts';
import { claimedFiles, MAX_MANIFEST_BYTES } from './check-manifest.ts';

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

  /** One whose files have just been stored. @throws KilnError UNAVAILABLE */
  async whole(
    projectId: string,
    manifest: ContextManifest,
    files: readonly SizedBlob[],
    signal: AbortSignal,
  ): Promise<KnownContext> {
    const { known, bytes } = describe(manifest);
    if (await this.#contexts.isKept(projectId, known.digest)) {
      await this.#content.put(single(bytes), known.digest, signal);
      return known;
    }
    await this.keep(projectId, files, signal);
    await this.#keepManifest(projectId, known, bytes, signal);
    await this.#contexts.put(projectId, known, true);
    return known;
  }

  /**
   * One by its manifest; its files come later. What the farm has of another project counts for nothing.
   * @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED, UNAVAILABLE
   */
  async claimed(projectId: string, manifest: ContextManifest, signal: AbortSignal): Promise<ContextView> {
    const sizes = claimedFiles(manifest, this.#config.KILN_CONTEXT_MAX_BYTES);
    const had = await this.#blobs.renew(projectId, [...sizes.keys()]);
    const missing: Digest[] = [];
    for (const [digest, size] of sizes) {
      const known = had.get(digest);
      if (known === undefined) missing.push(digest);
      else if (known !== size)
        throw new KilnError('CONTEXT_INVALID', `the context says that ${digest} has ${size} bytes, not ${known}`);
    }
    const { known, bytes } = describe(manifest);
    await this.#keepManifest(projectId, known, bytes, signal);
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
    const { entries } = decodeManifest(await collect(this.#content.get(digest), MAX_MANIFEST_BYTES));
    await this.#blobs.renew(projectId, [...new Set(entries.flatMap((entry) => entry.digest ?? []))]);
  }

  /** Blobs that were just put are the project's. @throws KilnError UNAVAILABLE when the collector was quicker */
  async keep(projectId: string, blobs: readonly SizedBlob[], signal: AbortSignal): Promise<void> {
    const doubtful = await this.#blobs.keep(projectId, blobs);
    if (doubtful.size === 0 || (await this.#content.findMissing(doubtful, signal)).size === 0) return;
    throw new KilnError('UNAVAILABLE', 'files of the context were collected while it was sent', {
      hint: 'send it again',
    });
  }

  /** After its files: they are kept at least as long. */
  async #keepManifest(projectId: string, { digest }: KnownContext, bytes: Buffer, signal: AbortSignal): Promise<void> {
    await this.#content.put(single(bytes), digest, signal);
    await this.keep(projectId, [{ digest, sizeBytes: bytes.byteLength }], signal);
  }
}

function describe(manifest: ContextManifest): { readonly known: KnownContext; readonly bytes: Buffer } {
  const bytes = encodeManifest(manifest);
  const { entries } = manifest;
  const files = entries.filter(({ type }) => type !== 'dir').length;
  const sizeBytes = entries.reduce((sum, { size = 0 }) => sum + size, 0);
  return { known: { digest: digestOf(bytes), files, sizeBytes }, bytes };
}
