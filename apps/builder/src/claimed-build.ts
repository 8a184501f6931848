import type { Producer } from '#cache';
import { type ContextManifest, decodeManifest } from '#context';
import { type BuildQueue, HEARTBEAT_PERIOD_MS } from '#dispatch';
import { build, decodePart, type EngineNode, type MountVersions } from '#engine';
import type { BuilderMetrics, BuildMeter } from '#metrics';
import { type Descriptor, type Digest, parsePlatform } from '#oci';
import { type BuildFailure, type BuildResult, SealedParts } from '#protocol';
import {
  Bell,
  type Clock,
  collect,
  isDiskFull,
  isKilnError,
  KilnError,
  type Logger,
  messageOf,
  type Random,
  unseal,
} from '#std';
import {
  BlobIndex,
  BlobLeases,
  BlobPlaceStore,
  BuildImages,
  BuildKeys,
  type BuilderRegistry,
  type BuildLedger,
  CacheMountStore,
  type Claim,
  createCacheStore,
  type Database,
  FetchedSources,
  type EventFeed,
  findContentKeys,
  type FinalEvent,
  ImageTagCache,
  LayerVariantStore,
  PostgresFlights,
  type RedisLink,
  RegistryCredentialStore,
  type SizedBlob,
  type StoredContext,
} from '#storage';
import { clientSession } from './client-session.ts';
import { EventWriter } from './event-writer.ts';
import { FarmElsewhere } from './farm-elsewhere.ts';
import { FollowedFlights } from './followed-flights.ts';
import type { Intake } from './intake.ts';
import { type Patience, patience, patientCacheStore } from './patience.ts';
import type { Registries } from './registries.ts';

export interface BuildRunnerOptions {
  readonly builderId: string;
  readonly engine: EngineNode;
  readonly ledger: BuildLedger;
  readonly db: Database;
  readonly redis: RedisLink;
  readonly registries: Registries;
  readonly secretKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly builders: BuilderRegistry;
  readonly metrics: BuilderMetrics;
  readonly feed: EventFeed;
  /** the way of builds to whoever is free */
  readonly builds: BuildQueue;
  /** the way of parts to other builders */
  readonly parts: BuildQueue;
  readonly random: Random;
  /** aborted when no more builds are to be taken */
  readonly draining: AbortSignal;
  /** shut while an operator has drained this builder */
  readonly intake: Intake;
  /** aborted when running builds are to go to other builders */
  readonly shutdown: AbortSignal;
}

const MANIFEST_LIMIT_BYTES = 1024 ** 3;

/** Why a build is stopped from outside; the reason of its signal. */
type Stop = 'cancelled' | 'fenced' | 'shutdown';

class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor(
    readonly why: Stop,
    message = `the build was stopped: ${why}`,
  ) {
    super(message);
  }
}

/** One build under one claim: heartbeat → build → final event. */
export class ClaimedBuild {
  /** questions to the cache's index */
  #lookups = 0;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #writer: EventWriter;
  readonly #wait: Patience;
  readonly #meter: BuildMeter;
  readonly #keys: BuildKeys;
  /** once it has been given, the build cannot end otherwise */
  #answer: BuildResult | undefined;

  constructor(
    readonly options: BuildRunnerOptions,
    readonly claim: Claim,
    readonly logger: Logger,
  ) {
    const { clock, db, ledger } = options;
    this.#keys = new BuildKeys({ db, claim, logger });
    this.#signal = this.#stop.signal;
    this.#meter = options.metrics.build(claim.part === null ? 'build' : 'part');
    this.#writer = new EventWriter({
      append: (events) => ledger.append(claim, events),
      clock,
      logger,
      onLost: (thrown) => this.#lost(thrown),
    });
    this.#wait = patience({ clock, logger, signal: this.#signal });
  }

  async run(): Promise<void> {
    const { shutdown } = this.options;
    const onShutdown = (): void => this.#stop.abort(new Stopped('shutdown'));
    shutdown.addEventListener('abort', onShutdown);
    if (shutdown.aborted) onShutdown();
    const { cancelReason } = this.claim;
    if (cancelReason !== null) this.#stop.abort(new Stopped('cancelled', cancelReason));
    const ended = new AbortController();
    const beating = this.#beat(ended.signal);
    try {
      await this.#end(await this.#outcome());
    } catch (thrown) {
      if (isStopped(thrown, 'fenced') || isKilnError(thrown, 'FENCED')) {
        this.#meter.lost();
        this.logger.warn('the build has gone to another builder');
      } else if (isStopped(thrown, 'shutdown')) {
        await this.#release();
      } else {
        // The claim expires, and the build is tried again.
        this.logger.error('the build could not be ended', { error: thrown });
      }
    } finally {
      this.#meter[Symbol.dispose]();
      ended.abort();
      await beating;
      shutdown.removeEventListener('abort', onShutdown);
    }
  }

  /** @throws what stops the build without ending it */
  async #outcome(): Promise<FinalEvent> {
    const { clock, builderId } = this.options;
    try {
      this.#signal.throwIfAborted();
      const started = { type: 'started', atMs: clock.nowMs(), builderId, attempt: this.claim.attempt } as const;
      this.#meter.see(started);
      void this.#writer.emit(started);
      const outcome = await this.#build();
      const atMs = clock.nowMs();
      return outcome.state === 'succeeded'
        ? { type: 'succeeded', atMs, result: outcome.result }
        : { type: 'failed', atMs, failure: outcome.failure };
    } catch (thrown) {
      const atMs = clock.nowMs();
      if (thrown instanceof Stopped && thrown.why !== 'cancelled') throw thrown;
      if (isKilnError(thrown, 'FENCED')) throw thrown;
      if (this.#answer !== undefined) return this.#answered(this.#answer, thrown);
      if (isStopped(thrown, 'cancelled')) return { type: 'cancelled', atMs, reason: messageOf(thrown) };
      this.logger.error('the build failed for a reason of the farm', { error: thrown });
      return { type: 'failed', atMs, failure: farmFailure(thrown) };
    }
  }

  #answered(result: BuildResult, thrown: unknown): FinalEvent {
    this.logger.error('the cache of a build that had given its answer was not written whole', { error: thrown });
    return { type: 'succeeded', atMs: this.options.clock.nowMs(), result };
  }

  async #deliver(result: BuildResult): Promise<void> {
    void this.#writer.emit({ type: 'delivered', atMs: this.options.clock.nowMs(), result });
    await this.#writer.flush();
    this.#answer = result;
  }

  async #build(): ReturnType<typeof build> {
    const { engine, db, redis, registries, ledger, builders, builderId, clock } = this.options;
    const { claim, logger } = this;
    const signal = this.#signal;
    const wait = this.#wait;
    const sealed = this.#sealedParts();
    const producer: Producer = { buildId: claim.buildId, builderId, scope: claim.scopes[0].name };
    const manifestOf = async ({ digest }: StoredContext): Promise<ContextManifest> =>
      decodeManifest(await collect(engine.content.get(digest, signal), MANIFEST_LIMIT_BYTES));
    const contexts = new Map<string, ContextManifest>();
    for (const named of claim.namedContexts) contexts.set(named.name, await manifestOf(named));
    const fetched = new FetchedSources(db, claim.projectId);
    const { credentials, secrets } = sealed;
    const buildPlatform = await wait(() => builders.defaultPlatform());
    const tags = new ImageTagCache(db, claim);
    const blobs = new BlobIndex(db);
    const images = new BuildImages(db, claim);
    const variants = new LayerVariantStore(db, claim);
    const places = new BlobPlaceStore(db, claim);
    const leases = new BlobLeases(db, claim);
    // The client of a part is that of its build.
    const clientOf = claim.part?.parentId ?? claim.buildId;
    const { projectId } = claim;
    const { secretKey } = this.options;
    const { ssh } = claim.request;
    using session = clientSession({ redis, clock, buildId: clientOf, ssh, secrets, projectId, secretKey });
    // Here and nowhere else in clear: parts of the build ask for the project's themselves.
    const projects = new RegistryCredentialStore(db, secretKey);
    const stored = await wait(() => projects.open(claim));
    await using registry = registries.client((host) =>
      Object.hasOwn(credentials, host) ? (credentials[host] ?? null) : (stored.get(host)?.() ?? null),
    );
    return await build(engine, {
      request: claim.request,
      buildPlatform: buildPlatform === null ? engine.platforms.native[0] : parsePlatform(buildPlatform),
      ...(claim.part === null
        ? { elsewhere: new FarmElsewhere({ ...this.options, claim, sealed, logger, wait }) }
        : { part: decodePart(claim.part.text) }),
      context: await manifestOf(claim.context),
      contextSentBytes: [claim.context, ...claim.namedContexts].reduce((sum, { sentBytes }) => sum + sentBytes, 0),
      contexts,
      sources: {
        file: (url) => wait(() => fetched.file(url)),
        fileOf: (digest) => wait(() => fetched.fileOf(digest)),
        keepFile: (url, file) => wait(() => fetched.keepFile(url, file)),
        tree: (key) => wait(() => fetched.tree(key)),
        keepTree: (key, digest) => wait(() => fetched.keepTree(key, digest)),
      },
      producer,
      cache: patientCacheStore(createCacheStore({ db, redis, claim, logger }), wait, () => this.#lookups++),
      flights: new FollowedFlights({
        flights: new PostgresFlights({ db, redis, claim, logger }),
        feed: this.options.feed,
        clock,
        logger,
        wait,
      }),
      onRun: ({ digest, op }) => logger.info('a step runs', { vertex: digest, kind: op.kind }),
      explain: {
        book: this.#keys,
        onFailure: (what, thrown) => logger.warn(what, { error: messageOf(thrown) }),
      },
      tags: {
        get: (reference, platform, known) => wait(() => tags.get(reference, platform, known)),
        put: (reference, platform, image, found) => wait(() => tags.put(reference, platform, image, found)),
      },
      images: {
        keep: async (image) => this.#checkThere(await wait(() => images.keep(image))),
        read: (digest) => wait(() => images.read(digest)),
        places: (digests) => wait(() => images.places(digests)),
        pushed: (digest, names) => wait(() => images.pushed(digest, names)),
      },
      registry,
      grants: {
        grant: async (descriptors) =>
          this.#checkThere(await wait(() => blobs.grant(claim.projectId, sizedBlobs(descriptors)))),
        keep: async (descriptors) =>
          this.#checkThere(await wait(() => blobs.keep(claim.projectId, sizedBlobs(descriptors)))),
        missing: (digests) => wait(() => blobs.missing(claim.projectId, digests)),
      },
      places: {
        find: (digests) => wait(() => places.find(digests)),
        keep: (found) => wait(() => places.keep(found)),
        forget: (digests) => wait(() => places.forget(digests)),
      },
      findContentKeys: (wanted) => wait(() => findContentKeys(db, claim, wanted)),
      retain: (digests) => wait(() => leases.retain(digests)),
      variants: {
        findVariants: (keys) => wait(() => variants.findVariants(keys)),
        saveVariant: (key, layer) => wait(() => variants.saveVariant(key, layer)),
      },
      session,
      mountVersions: this.#mountVersions(),
      cacheOwner: `${claim.projectId}/${claim.scopes[0].id}`,
      emit: (event) => {
        this.#meter.see(event);
        return this.#writer.emit(event);
      },
      deliver: (result) => this.#deliver(result),
      checkFence: () => wait(() => ledger.checkFence(claim)),
      signal,
    });
  }

  /** @param doubtful blobs that the collector had taken out of use */
  async #checkThere(doubtful: ReadonlySet<Digest>): Promise<void> {
    if (doubtful.size === 0) return;
    const [lost] = await this.options.engine.content.findMissing(doubtful, this.#signal);
    if (lost !== undefined) throw new KilnError('BLOB_MISSING', `blob ${lost} was collected while it was made`);
  }

  /** What is published is so beside the build, and beyond its end. */
  #mountVersions(): MountVersions {
    const { db, clock, shutdown } = this.options;
    const store = new CacheMountStore(db, this.claim);
    const wait = this.#wait;
    const waitBeyond = patience({ clock, logger: this.logger, signal: shutdown });
    return {
      scopeId: this.claim.scopes[0].id,
      versions: (mount) => waitBeyond(() => store.versions(mount)),
      used: (mount, version) => wait(() => store.used(mount, version)),
      publish: (mount, version) => waitBeyond(() => store.publish(mount, version)),
      forget: (mount, version) => waitBeyond(() => store.forget(mount, version)),
      lock: (mount, holder) => wait(() => store.lock(mount, holder)),
      unlock: (mount, holder) => waitBeyond(() => store.unlock(mount, holder)),
    };
  }

  /** Makes the events durable, then the end. */
  async #end(event: FinalEvent): Promise<void> {
    const { ledger, clock, shutdown } = this.options;
    await Promise.all([this.#writer.flush(), this.#keys.settled()]);
    // Not under the build's own signal: a build that was cancelled has to be ended too.
    const wait = patience({ clock, logger: this.logger, signal: shutdown });
    await wait(() => ledger.finish(this.claim, event));
    this.#meter.end(event);
    this.logger.info('build ended', { state: event.type, lookups: this.#lookups });
  }

  async #release(): Promise<void> {
    try {
      await this.#writer.flush();
      await this.options.ledger.release(this.claim);
      this.logger.info('the build is given back');
    } catch (thrown) {
      this.logger.warn('the build could not be given back; its claim expires', { error: messageOf(thrown) });
    }
  }

  /** Says that the builder lives, and hears whether the build is still wanted here. */
  async #beat(ended: AbortSignal): Promise<void> {
    const { ledger, clock } = this.options;
    const bell = new Bell(clock);
    using _cancel = ledger.onCancel(this.claim, () => bell.ring());
    while (!ended.aborted) {
      await bell.wait(HEARTBEAT_PERIOD_MS, ended);
      if (ended.aborted) return;
      try {
        const { cancelReason } = await ledger.heartbeat(this.claim);
        if (cancelReason !== null) this.#stop.abort(new Stopped('cancelled', cancelReason));
      } catch (thrown) {
        if (ended.aborted) return;
        if (isKilnError(thrown, 'FENCED')) return this.#lost(thrown);
        this.options.metrics.heartbeatFailed();
        this.logger.warn('the build’s heartbeat failed', { error: messageOf(thrown) });
      }
    }
  }

  #lost(thrown: unknown): void {
    if (!isKilnError(thrown, 'FENCED')) this.logger.error('events cannot be kept', { error: thrown });
    this.#stop.abort(new Stopped('fenced'));
  }

  /** @throws KilnError PERMISSION_DENIED when they were sealed under another farm's key */
  #sealedParts(): SealedParts {
    const { sealed, buildId } = this.claim;
    if (sealed === null) return { credentials: {}, secrets: {} };
    const plain = unseal(this.options.secretKey, `build:${buildId}`, sealed);
    return SealedParts.parse(JSON.parse(plain.toString('utf8')));
  }
}

function isStopped(thrown: unknown, why: Stop): boolean {
  return thrown instanceof Stopped && thrown.why === why;
}

const sizedBlobs = (descriptors: readonly Descriptor[]): readonly SizedBlob[] =>
  descriptors.map(({ digest, size }) => ({ digest, sizeBytes: size }));

function farmFailure(thrown: unknown): BuildFailure {
  if (isDiskFull(thrown)) {
    const hint = 'make room on it, or give it a larger one';
    return { code: 'DISK_FULL', message: `the builder’s disk is full: ${messageOf(thrown)}`, hint };
  }
  if (!isKilnError(thrown)) {
    return { code: 'INTERNAL', message: `the builder failed: ${messageOf(thrown)}`, hint: 'its log says more' };
  }
  const { code, message, hint } = thrown;
  return hint === undefined ? { code, message } : { code, message, hint };
}
