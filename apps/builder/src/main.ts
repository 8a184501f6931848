import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { openContentStore } from '#content';
import { HEARTBEAT_PERIOD_MS, HEARTBEAT_TTL_MS, openBuildQueue, PartQueues } from '#dispatch';
import { BuilderMetrics, serveMetrics } from '#metrics';
import { formatPlatform } from '#oci';
import { Bell, type Clock, jsonLogger, KilnError, type Logger, messageOf, once, systemClock, systemRandom } from '#std';
import { BuilderRegistry, type BuilderState, BuildLedger, EventFeed, openDatabase, openRedis, Wakeups } from '#storage';
import { BuilderModule } from './app.module.ts';
import { BuildRunner } from './build-runner.ts';
import { type BuilderConfig, readConfig } from './config.ts';
import { Intake } from './intake.ts';
import { openNode } from './node.ts';
import { Registries } from './registries.ts';

const logger = jsonLogger(
  (line) => process.stderr.write(line),
  () => systemClock.nowMs(),
);

interface Ending {
  /** aborted: take no more builds, let those that run end */
  readonly draining: AbortSignal;
  /** aborted, then or later: give back what still runs */
  readonly shutdown: AbortController;
}

/** Takes builds until it is asked to end, then frees what it holds. */
async function serve(config: BuilderConfig, { draining, shutdown }: Ending): Promise<void> {
  const clock = systemClock;
  const { KILN_BUILDER_ID: builderId, KILN_REDIS_URL: redisUrl } = config;
  await using resources = new AsyncDisposableStack();
  const db = resources.use(
    openDatabase({ url: config.KILN_DATABASE_URL, max: config.KILN_DATABASE_CONNECTIONS, logger }),
  );
  const redis = resources.use(openRedis({ url: redisUrl, logger }));
  const content = await openContentStore(config.KILN_OBJECT_STORE, { random: systemRandom, clock });
  const registries = new Registries(config, clock, logger);
  const { trust } = registries;
  const node = await openNode(config, {
    ...{ content, trust, clock, random: systemRandom, logger },
    onOutOfMemory: () => metrics.outOfMemory(),
  });
  const { engine } = resources.use(node);
  const builders = new BuilderRegistry(db);
  const concurrency = config.KILN_BUILDER_CONCURRENCY;
  const platforms = engine.platforms.native.map(formatPlatform);
  const emulated = engine.platforms.emulated.map(formatPlatform);
  const { mayTake, startedAtMs } = await builders.register(builderId, {
    pid: process.pid,
    slots: concurrency,
    platforms,
    emulated,
  });
  const parts = resources.use(
    new PartQueues({
      redisUrl,
      clock,
      logger,
      fittest: (platform) => builders.fittest(platform, HEARTBEAT_TTL_MS),
    }),
  );
  const builds = resources.use(openBuildQueue({ redisUrl, clock, logger }));
  const intake = new Intake(mayTake, (thrown) =>
    logger.error('the queue does not heed that the builder is drained or undrained', { error: thrown }),
  );
  if (!mayTake) logger.info('the builder is drained: it takes builds once it is undrained');
  const metrics = new BuilderMetrics(async () => ({
    ...{ slots: concurrency, draining: draining.aborted || !intake.isOpen },
    ...(await node.use()),
  }));
  const { KILN_METRICS_LISTEN: listening, KILN_METRICS_TOKEN: token } = config;
  if (listening !== undefined) {
    if (token === undefined)
      throw new KilnError('INVALID_ARGUMENT', 'figures would be open to everyone', {
        field: 'KILN_METRICS_TOKEN',
        hint: 'set KILN_METRICS_TOKEN beside KILN_METRICS_LISTEN',
      });
    const served = resources.use(await serveMetrics({ listening, token, metrics, logger }));
    logger.info('figures are served', { url: served.url });
  }
  const gone = new AbortController();
  const beating = beat(builders, {
    builderId,
    startedAtMs,
    clock,
    draining,
    gone: gone.signal,
    intake,
    wakeups: new Wakeups(redis, logger),
    metrics,
    logger,
  });
  resources.defer(async () => {
    gone.abort();
    await beating;
  });
  const runner = new BuildRunner({
    builderId,
    engine,
    ledger: new BuildLedger({ db, redis, clock, logger }),
    builders,
    metrics,
    feed: new EventFeed({ db, redis, content, clock }),
    builds,
    parts,
    random: systemRandom,
    db,
    redis,
    registries,
    secretKey: Buffer.from(config.KILN_SECRET_KEY, 'hex'),
    clock,
    logger,
    draining,
    intake,
    shutdown: shutdown.signal,
  });
  const app = await NestFactory.createApplicationContext(
    BuilderModule.for({ builderId, redisUrl, concurrency, runner, logger }),
    {
      logger: ['error', 'fatal'],
      abortOnError: false,
    },
  );
  // On every way out: nothing is taken any more, and what runs is given back.
  const close = once(() => app.close());
  resources.defer(async () => {
    shutdown.abort();
    await close();
  });
  // For whoever started the process: from now on it takes builds.
  process.stdout.write(`${JSON.stringify({ event: 'ready', id: builderId, platforms, emulated })}\n`);
  await aborted(draining);
  const drainMs = config.KILN_BUILDER_DRAIN_SECONDS * 1000;
  logger.info('the builder drains', { forMs: drainMs });
  await Promise.race([close(), clock.sleep(drainMs, shutdown.signal).catch(() => undefined)]);
}

interface Beating {
  readonly builderId: string;
  /** as the farm knows it */
  readonly startedAtMs: number | undefined;
  readonly clock: Clock;
  readonly draining: AbortSignal;
  readonly gone: AbortSignal;
  readonly intake: Intake;
  readonly wakeups: Wakeups;
  readonly metrics: BuilderMetrics;
  readonly logger: Logger;
}

/** Tells the farm that this builder lives, until it is gone, and hears whether it may take builds. */
async function beat(
  builders: BuilderRegistry,
  { builderId, startedAtMs, clock, draining, gone, intake, wakeups, metrics, logger }: Beating,
): Promise<void> {
  let knownMs = startedAtMs;
  const say = async (state: BuilderState): Promise<void> => {
    try {
      const { mayTake, startedAtMs: newestMs } = await builders.heartbeat(builderId, state);
      if (newestMs !== knownMs) logger.error(`another builder has begun as ${builderId}: each wants a name of its own`);
      knownMs = newestMs;
      if (mayTake !== intake.isOpen) logger.info(mayTake ? 'the builder is undrained' : 'the builder is drained');
      intake.set(mayTake);
    } catch (thrown) {
      metrics.heartbeatFailed();
      logger.warn('the builder’s heartbeat failed', { error: messageOf(thrown) });
    }
  };
  const bell = new Bell(clock);
  using _ = wakeups.onBuilder(builderId, () => bell.ring());
  draining.addEventListener('abort', () => bell.ring());
  while (!gone.aborted) {
    await bell.wait(HEARTBEAT_PERIOD_MS, gone);
    await say(gone.aborted ? 'stopped' : draining.aborted ? 'draining' : 'ready');
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

const draining = new AbortController();
const shutdown = new AbortController();
process.on('SIGTERM', () => {
  // Asked twice, it is in a hurry.
  if (draining.signal.aborted) shutdown.abort();
  draining.abort();
});
process.on('SIGINT', () => {
  draining.abort();
  shutdown.abort();
});
try {
  await serve(readConfig(process.env), { draining: draining.signal, shutdown });
  process.exit(0);
} catch (error) {
  logger.error(`the builder cannot go on: ${messageOf(error)}`, { error });
  process.exit(1);
}
