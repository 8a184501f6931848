import type { BuildQueue } from '#dispatch';
import type { EngineNode } from '#engine';
import type { BuilderMetrics } from '#metrics';
import type { Clock, Logger, Random } from '#std';
import type { BuilderRegistry, BuildLedger, Database, EventFeed, RedisLink } from '#storage';
import type { Intake } from './intake.ts';
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
