import { Inject, Injectable } from '@nestjs/common';
import { type IngestedContext, makeManifest } from '#context';
import { type BuildQueue, enqueue } from '#dispatch';
import type { Digest } from '#oci';
import { type RetryRequest, type SealedParts, type StoredRequest, wrongLink } from '#protocol';
import { type Bytes, isKilnError, KilnError, type Logger, type Random, randomId, seal } from '#std';
import type {
  BuildLedger,
  ImageStore,
  NewBuild,
  Principal,
  StoredBuild,
  StoredContext,
  StoredNamedContext,
} from '#storage';
import { type ApiConfig, publicUrl } from '../config.ts';
import { bounded, checkLength } from '../contexts/archive-length.ts';
import { TakeContext } from '../contexts/take-context.ts';
import * as tokens from '../tokens.ts';
import { fingerprintOf } from './fingerprint.ts';
import { MAX_PATH_BYTES } from '../contexts/claimed-files.ts';
import { checkCall } from './check-call.ts';
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
  readonly #taken: TakeContext;
  readonly #ledger: BuildLedger;
  readonly #queue: BuildQueue;
  readonly #images: ImageStore;

  constructor(
    @Inject(tokens.CONFIG) config: ApiConfig,
    @Inject(tokens.RANDOM) random: Random,
    @Inject(tokens.LOGGER) logger: Logger,
    @Inject(TakeContext) taken: TakeContext,
    @Inject(tokens.LEDGER) ledger: BuildLedger,
    @Inject(tokens.QUEUE) queue: BuildQueue,
    @Inject(tokens.IMAGES) images: ImageStore,
  ) {
    this.#config = config;
    this.#random = random;
    this.#logger = logger;
    this.#taken = taken;
    this.#ledger = ledger;
    this.#queue = queue;
    this.#images = images;
  }

  /** @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED, RATE_LIMITED, INVALID_ARGUMENT, CONFLICT, UNAVAILABLE */
  async accept(caller: Principal, submission: Submission, options: AcceptOptions): Promise<StoredBuild> {
    checkSuperseding(submission.request);
    await this.#checkImage(caller, submission.request);
    checkLinks(submission.request);
    const { request: asked, stored } = await this.#contextsOf(caller, submission, options.signal);
    const context = stored.get(MAIN_CONTEXT) ?? (await this.#store(caller, nothing, options.signal));
    stored.delete(MAIN_CONTEXT);
    const namedContexts: StoredNamedContext[] = [...stored].map(([name, each]) => ({ name, ...each }));
    const id = randomId(this.#random, ID_LENGTH);
    const { credentials, secrets, ...given } = asked;
    const request = asStored(given, { credentials, secrets }, publicUrl(this.#config));
    const sealed = this.#seal(id, { credentials, secrets });
    const { idempotencyKey } = options;
    return await this.#create(caller, { id, request, context, namedContexts, sealed, idempotencyKey });
  }

  /** The contexts by their names, and the request as they leave it. */
  async #contextsOf(
    caller: Principal,
    { request: given, contexts, references, revise }: Submission,
    signal: AbortSignal,
  ): Promise<{ readonly request: Submission['request']; readonly stored: Map<string, StoredContext> }> {
    const stored = new Map<string, StoredContext>();
    let request = given;
    const keep = async ({ name, files }: Came): Promise<void> => {
      const revised =
        name === MAIN_CONTEXT && revise !== undefined ? await revise({ request, context: files }) : undefined;
      request = revised?.request ?? request;
      stored.set(name, await this.#store(caller, revised?.context ?? files, signal));
    };
    let last: Came | undefined;
    for await (const { name, archive, sizeBytes, mayLackEnd } of contexts) {
      // One at a time: the lists of files of all of them are more than memory holds.
      if (last !== undefined) await keep(last);
      if (sizeBytes !== undefined) checkLength(sizeBytes, this.#config.KILN_CONTEXT_MAX_BYTES);
      last = { name, files: await this.#ingest(caller, archive, { mayLackEnd: mayLackEnd === true, signal }) };
    }
    if (last !== undefined) await keep(last);
    for (const [name, { digest, sentBytes }] of Object.entries(references))
      stored.set(name, { ...(await this.#taken.known(caller.projectId, digest, `contexts.${name}`)), sentBytes });
    return { request, stored };
  }

  /**
   * Accepts once more what an earlier build was given; what went with its end comes anew. It takes nobody's place.
   * @throws KilnError CONFLICT when it has not ended, needs what did not come, or its context is gone; NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE
   */
  async retry(
    caller: Principal,
    retryOf: string,
    parts: RetryRequest,
    idempotencyKey: string | undefined,
  ): Promise<StoredBuild> {
    await this.#ledger.checkReach(caller, retryOf);
    const { build, scopeId, context, namedContexts } = await this.#ledger.sent(caller.projectId, retryOf);
    const request = asStored({ ...build.request, supersede: false }, parts, publicUrl(this.#config));
    const asked = { request, retryOf, context, namedContexts, idempotencyKey };
    // What was accepted stays so, whatever has become of the first build since.
    // What a pull request sent is no more trusted for being run again by somebody who is.
    const placed = { ...caller, scopeId };
    const fingerprint = fingerprintOf(placed, asked);
    const before = await this.#ledger.repeated(caller.projectId, { idempotencyKey, fingerprint });
    if (before !== undefined) return before;
    checkRepeatable(build, parts);
    for (const { digest } of [context, ...namedContexts]) await this.#keepAgain(caller.projectId, build.id, digest);
    const id = randomId(this.#random, ID_LENGTH);
    const sealed = this.#seal(id, parts);
    return await this.#create(placed, { ...asked, id, sealed });
  }

  /** @throws KilnError INVALID_ARGUMENT, NOT_FOUND */
  async #checkImage(caller: Principal, request: StoredRequest): Promise<void> {
    checkCall(request);
    const { image } = request;
    if (image !== undefined) await this.#images.get(caller, image);
  }

  async #create(caller: Pick<Principal, 'projectId' | 'scopeId'>, accepted: Accepted): Promise<StoredBuild> {
    const { projectId, scopeId } = caller;
    const fingerprint = fingerprintOf(caller, accepted);
    const { build, turn } = await this.#ledger.create({ projectId, scopeId, ...accepted, fingerprint });
    await this.#enqueue(build, turn);
    return build;
  }

  async #keepAgain(projectId: string, buildId: string, digest: Digest): Promise<void> {
    try {
      await this.#taken.again(projectId, digest);
    } catch (cause) {
      if (!isKilnError(cause, 'NOT_FOUND')) throw cause;
      throw new KilnError('CONFLICT', `the context of the build ${buildId} is not kept any more`, {
        hint: 'submit the build again',
        cause,
      });
    }
  }

  #ingest(
    { projectId }: Principal,
    source: Bytes,
    { mayLackEnd, signal }: { readonly mayLackEnd: boolean; readonly signal: AbortSignal },
  ): Promise<IngestedContext> {
    const { KILN_CONTEXT_MAX_BYTES: maxBytes, KILN_CONTEXT_MAX_FILES: maxFiles } = this.#config;
    const limits = { maxBytes, maxFiles, maxPathBytes: MAX_PATH_BYTES, mayLackEnd };
    return this.#taken.ingest(projectId, bounded(source, maxBytes), limits, signal);
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

interface Came {
  readonly name: string;
  readonly files: IngestedContext;
}

type Accepted = Omit<NewBuild, 'projectId' | 'scopeId' | 'fingerprint'>;

/** What came, without its values. */
function asStored(request: StoredRequest, { credentials, secrets }: SealedParts, farm: string): StoredRequest {
  const { provenance, ...others } = request.attestations;
  return {
    ...request,
    attestations: provenance === undefined ? others : { ...others, provenance: { ...provenance, farm } },
    secretIds: Object.keys(secrets).sort(),
    credentialHosts: Object.keys(credentials).sort(),
  };
}

/** @throws KilnError INVALID_ARGUMENT */
function checkSuperseding({ supersede, source }: StoredRequest): void {
  const missing = (['branch', 'commit'] as const).find((field) => source[field] === undefined);
  if (!supersede || missing === undefined) return;
  throw new KilnError('INVALID_ARGUMENT', `to supersede builds of other commits, a build needs its ${missing}`, {
    field: `source.${missing}`,
    hint: 'say branch and commit, or leave supersede out',
  });
}

/** @throws KilnError INVALID_ARGUMENT */
function checkLinks(request: StoredRequest): void {
  const wrong = wrongLink(request);
  if (wrong === undefined) return;
  throw new KilnError('INVALID_ARGUMENT', wrong.message, {
    field: wrong.path.join('.'),
    hint: 'contexts of the type build name a build of builds, whose own contexts are named as contexts has them',
  });
}

/** @throws KilnError CONFLICT */
function checkRepeatable({ id, state, request }: StoredBuild, { credentials, secrets }: RetryRequest): void {
  if (state === 'queued' || state === 'running')
    throw new KilnError('CONFLICT', `the build ${id} has not ended`, { hint: 'wait for it, or cancel it' });
  const secret = request.secretIds.find((name) => !Object.hasOwn(secrets, name));
  const host = request.credentialHosts.find((name) => !Object.hasOwn(credentials, name));
  if (secret === undefined && host === undefined) return;
  const what = secret === undefined ? `credentials for ${host}` : `the secret ${secret}`;
  throw new KilnError('CONFLICT', `the build ${id} was given ${what}, which went with its end`, {
    field: secret === undefined ? 'credentials' : 'secrets',
    hint: 'give it again with the retry, or submit the build again',
  });
}
