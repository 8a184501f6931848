import { initial } from './0001-initial.ts';
import { fairQueue } from './0002-fair-queue.ts';
import { eventArchives } from './0003-event-archives.ts';
import { platforms } from './0004-platforms.ts';
import { layerVariants } from './0005-layer-variants.ts';
import { sources } from './0006-sources.ts';
import { parts } from './0007-parts.ts';
import { tombstones } from './0008-tombstones.ts';
import { confirmedRecords } from './0009-confirmed-records.ts';
import { flights } from './0010-flights.ts';
import { trust } from './0011-trust.ts';
import { explanations } from './0012-explanations.ts';
import { statistics } from './0013-statistics.ts';
import { blobPlaces } from './0014-blob-places.ts';
import { collection } from './0015-collection.ts';
import { disowning } from './0016-disowning.ts';
import { cacheMounts } from './0017-cache-mounts.ts';
import { reservedResults } from './0018-reserved-results.ts';
import { imageNames } from './0019-image-names.ts';
import { contexts } from './0020-contexts.ts';
import { identity } from './0021-identity.ts';
import { trustRules } from './0022-trust-rules.ts';
import { registryCredentials } from './0023-registry-credentials.ts';
import { queueRules } from './0024-queue-rules.ts';
import { boundedTrust } from './0025-bounded-trust.ts';
import { webhooks } from './0026-webhooks.ts';
import { farmCounters } from './0027-farm-counters.ts';
import { browserSessions } from './0028-browser-sessions.ts';
import { images } from './0029-images.ts';
import { builderDrain } from './0030-builder-drain.ts';
import { branchStatistics } from './0031-branch-statistics.ts';
import { publicBadges } from './0032-public-badges.ts';
import { sentBlobs } from './0033-sent-blobs.ts';
import { webhookRotation } from './0034-webhook-rotation.ts';
import { contextKept } from './0035-context-kept.ts';
import { imageSteps } from './0036-image-steps.ts';
import { memberLogins } from './0037-member-logins.ts';
import { signInFlows } from './0038-sign-in-flows.ts';
import { lastBuild } from './0039-last-build.ts';
import { cacheGrowth } from './0040-cache-growth.ts';
import { reruns } from './0041-reruns.ts';

export interface Migration {
  /** from 1, without gaps */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** Every step of the schema, in order. What has been released is never changed: only added to. */
export const migrations: readonly Migration[] = [
  initial,
  fairQueue,
  eventArchives,
  platforms,
  layerVariants,
  sources,
  parts,
  tombstones,
  confirmedRecords,
  flights,
  trust,
  explanations,
  statistics,
  blobPlaces,
  collection,
  disowning,
  cacheMounts,
  reservedResults,
  imageNames,
  contexts,
  identity,
  trustRules,
  registryCredentials,
  queueRules,
  boundedTrust,
  webhooks,
  farmCounters,
  browserSessions,
  images,
  builderDrain,
  branchStatistics,
  publicBadges,
  sentBlobs,
  webhookRotation,
  contextKept,
  imageSteps,
  memberLogins,
  signInFlows,
  lastBuild,
  cacheGrowth,
  reruns,
];
