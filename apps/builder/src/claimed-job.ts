import type { Producer } from '#cache';
import { type ContextManifest, decodeManifest } from '#context';
import { build, type BuildJobInput, decodePart, type MountVersions } from '#engine';
import { type Descriptor, type Digest, parsePlatform } from '#oci';
import { SealedParts } from '#protocol';
import { collect, KilnError, type Logger, messageOf, unseal } from '#std';
import {
  BlobIndex,
  BlobLeases,
  BlobPlaceStore,
  BuildImages,
  type BuildKeys,
  CacheMountStore,
  type Claim,
  createCacheStore,
  FetchedSources,
  findContentKeys,
  ImageTagCache,
  LayerVariantStore,
  PostgresFlights,
  RegistryCredentialStore,
  RerunStore,
  type SizedBlob,
  type StoredContext,
} from '#storage';
import type { BuildRunnerOptions } from './build-runner-options.ts';
import { clientSession } from './client-session.ts';
import { FarmElsewhere } from './farm-elsewhere.ts';
import { FollowedFlights } from './followed-flights.ts';
import { type Patience, patience, patientCacheStore } from './patience.ts';

const MANIFEST_LIMIT_BYTES = 1024 ** 3;

/** A claim, and who hears of what is done under it. */
export interface ClaimedJob {
  readonly claim: Claim;
  readonly logger: Logger;
  /** aborted when the build is stopped from outside */
  readonly signal: AbortSignal;
  readonly wait: Patience;
  readonly keys: BuildKeys;
  /** called for every question to the cache's index */
  readonly onLookup: () => void;
  readonly emit: BuildJobInput['emit'];
  readonly deliver: BuildJobInput['deliver'];
}

/**
 * What the engine is given for a claimed build: its request and contexts, and the farm's index under the claim's fence.
 * @throws what stops the build, KilnError of the farm; failures of the build itself are outcomes
 */
export async function runClaimedJob(farm: BuildRunnerOptions, given: ClaimedJob): ReturnType<typeof build> {
  const { engine, db, redis, registries, ledger, builders, builderId, clock, secretKey } = farm;
  const { claim, logger, signal, wait } = given;
  const sealed = sealedPartsOf(claim, secretKey);
  const checkThere = async (doubtful: ReadonlySet<Digest>): Promise<void> => {
    // What the collector had taken out of use meanwhile.
    if (doubtful.size === 0) return;
    const [lost] = await engine.content.findMissing(doubtful, signal);
    if (lost !== undefined) throw new KilnError('BLOB_MISSING', `blob ${lost} was collected while it was made`);
  };
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
  const reruns = new RerunStore(db, claim);
  // A part is nothing to anybody but its build: it has that one's client, and makes that one's results.
  const buildId = claim.part?.parentId ?? claim.buildId;
  const producer: Producer = { buildId, builderId, scope: claim.scopes[0].name };
  const { projectId } = claim;
  const { ssh } = claim.request;
  using session = clientSession({ redis, clock, buildId, ssh, secrets, projectId, secretKey });
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
      ? { elsewhere: new FarmElsewhere({ ...farm, claim, sealed, logger, wait }) }
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
    project: claim.project,
    cache: patientCacheStore(createCacheStore({ db, redis, claim, logger }), wait, given.onLookup),
    flights: new FollowedFlights({
      flights: new PostgresFlights({ db, redis, claim, logger }),
      feed: farm.feed,
      clock,
      logger,
      wait,
    }),
    onRun: ({ digest, op }) => logger.info('a step runs', { vertex: digest, kind: op.kind }),
    onRan: (run) => reruns.note(run).catch((error: unknown) => logger.warn('a run could not be compared', { error })),
    explain: {
      book: given.keys,
      onFailure: (what, thrown) => logger.warn(what, { error: messageOf(thrown) }),
    },
    tags: {
      get: (reference, platform, known) => wait(() => tags.get(reference, platform, known)),
      put: (reference, platform, image, found) => wait(() => tags.put(reference, platform, image, found)),
    },
    images: {
      keep: async (image) => checkThere(await wait(() => images.keep(image))),
      read: (digest) => wait(() => images.read(digest)),
      places: (digests) => wait(() => images.places(digests)),
      pushed: (digest, names) => wait(() => images.pushed(digest, names)),
    },
    registry,
    grants: {
      grant: async (descriptors) => checkThere(await wait(() => blobs.grant(claim.projectId, sizedBlobs(descriptors)))),
      keep: async (descriptors) => checkThere(await wait(() => blobs.keep(claim.projectId, sizedBlobs(descriptors)))),
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
    mountVersions: mountVersionsOf(farm, given),
    cacheOwner: `${claim.projectId}/${claim.scopes[0].id}`,
    emit: given.emit,
    deliver: given.deliver,
    checkFence: () => wait(() => ledger.checkFence(claim)),
    signal,
  });
}

/** What is published is so beside the build, and beyond its end. */
function mountVersionsOf(
  { db, clock, shutdown }: BuildRunnerOptions,
  { claim, logger, wait }: ClaimedJob,
): MountVersions {
  const store = new CacheMountStore(db, claim);
  const waitBeyond = patience({ clock, logger, signal: shutdown });
  return {
    scopeId: claim.scopes[0].id,
    versions: (mount) => waitBeyond(() => store.versions(mount)),
    used: (mount, version) => wait(() => store.used(mount, version)),
    publish: (mount, version) => waitBeyond(() => store.publish(mount, version)),
    forget: (mount, version) => waitBeyond(() => store.forget(mount, version)),
    lock: (mount, holder) => wait(() => store.lock(mount, holder)),
    unlock: (mount, holder) => waitBeyond(() => store.unlock(mount, holder)),
  };
}

/** @throws KilnError PERMISSION_DENIED when they were sealed under another farm's key */
function sealedPartsOf({ sealed, buildId }: Claim, secretKey: Uint8Array): SealedParts {
  if (sealed === null) return { credentials: {}, secrets: {} };
  const plain = unseal(secretKey, `build:${buildId}`, sealed);
  return SealedParts.parse(JSON.parse(plain.toString('utf8')));
}

const sizedBlobs = (descriptors: readonly Descriptor[]): readonly SizedBlob[] =>
  descriptors.map(({ digest, size }) => ({ digest, sizeBytes: size }));
