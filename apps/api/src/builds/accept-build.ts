import { Inject, Injectable } from '@nestjs/common';
import type { ContentStore } from '#content';
import { type IngestedContext, ingestTar, makeManifest } from '#context';
import { type BuildQueue, enqueue } from '#dispatch';
import { digestOf } from '#oci';
import type { SealedParts, StoredRequest } from '#protocol';
import { type Bytes, canonicalJson, KilnError, type Logger, type Random, randomId, seal } from '#std';
import type { BuildLedger, Principal, StoredBuild, StoredContext, StoredNamedContext } from '#storage';
import type { ApiConfig } from '../config.ts';
import { TakeContext } from '../contexts/take-context.ts';
import * as tokens from '../tokens.ts';
import { MAX_PATH_BYTES } from '../contexts/check-manifest.ts';
import { MAIN_CONTEXT, type Submission } from './submission.ts';

const ID_LENGTH = 20;
/** Of a build whose context is elsewhere. */
const nothing: IngestedContext = { manifest: makeManifest([]), digests: new Map(), bytesReceived: 0 };

export interface AcceptOptions {
  readonly idempotencyKey: string | undefined;
  readonly signal: AbortSignal;
}

/** Context into blobs, blobs granted, build into the ledger, job into the queue. */
@Injectable()
export class AcceptBuild {
  readonly #config: ApiConfig;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #content: ContentStore;
  readonly #taken: TakeContext;
  readonly #ledger: BuildLedger;
  readonly #queue: BuildQueue;

  constructor(
    @Inject(tokens.CONFIG) config: ApiConfig,
    @Inject(tokens.RANDOM) random: Random,
    @Inject(tokens.LOGGER) logger: Logger,
    @Inject(tokens.CONTENT) content: ContentStore,
    @Inject(TakeContext) taken: TakeContext,
    @Inject(tokens.LEDGER) ledger: BuildLedger,
    @Inject(tokens.QUEUE) queue: BuildQueue,
  ) {
    this.#config = config;
    this.#random = random;
    this.#logger = logger;
    this.#content = content;
    this.#taken = taken;
    this.#ledger = ledger;
    this.#queue = queue;
  }

  /** @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED, INVALID_ARGUMENT, CONFLICT, UNAVAILABLE */
  async accept(caller: Principal, submission: Submission, options: AcceptOptions): Promise<StoredBuild> {
    const came = new Map<string, IngestedContext>();
    for await (const { name, archive } of submission.contexts) {
      came.set(name, await this.#ingest(archive, options.signal));
    }
    const stored = new Map<string, StoredContext>();
    for (const [name, each] of came) stored.set(name, await this.#store(caller, each, options.signal));
    for (const [name, { digest, sentBytes }] of Object.entries(submission.references))
      stored.set(name, { ...(await this.#taken.known(caller.projectId, digest, `contexts.${name}`)), sentBytes });
    const context = stored.get(MAIN_CONTEXT) ?? (await this.#store(caller, nothing, options.signal));
    stored.delete(MAIN_CONTEXT);
    const namedContexts: StoredNamedContext[] = [...stored].map(([name, each]) => ({ name, ...each }));
    const id = randomId(this.#random, ID_LENGTH);
    const { credentials, secrets, ...given } = submission.request;
    const request = { ...given, secretIds: Object.keys(secrets).sort() };
    const { build, turn } = await this.#ledger.create({
      projectId: caller.projectId,
      scopeId: caller.scopeId,
      id,
      request,
      context,
      namedContexts,
      sealed: this.#seal(id, { credentials, secrets }),
      idempotencyKey: options.idempotencyKey,
      fingerprint: fingerprintOf(caller, request, [context, ...namedContexts]),
    });
    await this.#enqueue(build, turn);
    return build;
  }

  #ingest(source: Bytes, signal: AbortSignal): Promise<IngestedContext> {
    const { KILN_CONTEXT_MAX_BYTES: maxBytes, KILN_CONTEXT_MAX_FILES: maxFiles } = this.#config;
    const limits = { maxBytes, maxFiles, maxPathBytes: MAX_PATH_BYTES };
    return ingestTar(bounded(source, maxBytes), this.#content, limits, signal);
  }

  async #store(caller: Principal, ingested: IngestedContext, signal: AbortSignal): Promise<StoredContext> {
    const { manifest, digests, bytesReceived: sentBytes } = ingested;
    const files = [...digests].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
    return { ...(await this.#taken.whole(caller.projectId, manifest, files, signal)), sentBytes };
  }

  #seal(id: string, parts: SealedParts): Uint8Array | null {
    if (Object.values(parts).every((part) => Object.keys(part).length === 0)) return null;
    const key = Buffer.from(this.#config.KILN_SECRET_KEY, 'hex');
    return seal(key, `build:${id}`, Buffer.from(JSON.stringify(parts)), this.#random);
  }

  /** The build is accepted: where the queue is away, the reconciler finds it in Postgres. */
  async #enqueue({ id: buildId, state, attempt }: StoredBuild, turn: number): Promise<void> {
    if (state !== 'queued') return;
    try {
      await enqueue(this.#queue, { buildId, attempt, turn });
    } catch (error) {
      this.#logger.warn('a build is not in the queue yet', { buildId, error });
    }
  }
}

/** Two requests under one idempotency key are the same when they ask for the same; credentials may have been renewed. */
function fingerprintOf(
  { scopeId }: Principal,
  request: StoredRequest,
  [context, ...named]: readonly StoredContext[],
): string {
  const others = named.length === 0 ? {} : { named: named.map(({ digest }) => digest) };
  return digestOf(canonicalJson({ scopeId, request, context: context?.digest, ...others }));
}

/** However little an archive unpacks to, no more than what it may unpack to is read. */
async function* bounded(source: Bytes, maxBytes: number): Bytes {
  let left = maxBytes + maxBytes / 64 + 1024 * 1024;
  for await (const chunk of source) {
    left -= chunk.byteLength;
    if (left < 0)
      throw new KilnError('LIMIT_EXCEEDED', `the context is larger than ${maxBytes} bytes`, { field: 'context' });
    yield chunk;
  }
}
