import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FolderContentStore } from '#content';
import { HEARTBEAT_PERIOD_MS } from '#dispatch';
import { type Clock, jsonLogger, type Logger, messageOf, systemClock, systemRandom } from '#std';
import { BuilderRegistry, BuildLedger, openDatabase, openRedis } from '#storage';
import { BuilderModule } from './app.module.ts';
import { BuildRunner } from './build-runner.ts';
import { type BuilderConfig, readConfig } from './config.ts';
import { openNode } from './node.ts';
import { Registries } from './registries.ts';

const logger = jsonLogger(
  (line) => process.stderr.write(line),
  () => systemClock.nowMs(),
);

/** Takes builds until `shutdown` is aborted, then gives back what runs and frees what it holds. */
async function serve(config: BuilderConfig, shutdown: AbortSignal): Promise<void> {
  const clock = systemClock;
  const { KILN_BUILDER_ID: builderId, KILN_REDIS_URL: redisUrl } = config;
  await using resources = new AsyncDisposableStack();
  const db = resources.use(
    openDatabase({ url: config.KILN_DATABASE_URL, max: config.KILN_DATABASE_CONNECTIONS, logger }),
  );
  const redis = resources.use(openRedis({ url: redisUrl, logger }));
  const content = new FolderContentStore({ root: config.KILN_CONTENT_DIR, random: systemRandom });
  const { engine } = resources.use(await openNode(config, content, clock, systemRandom, logger));
  const builders = new BuilderRegistry(db);
  await builders.register(builderId);
  const runner = new BuildRunner({
    builderId,
    engine,
    ledger: new BuildLedger({ db, redis, clock, logger }),
    db,
    redis,
    registries: new Registries(config, clock, logger),
    secretKey: Buffer.from(config.KILN_SECRET_KEY, 'hex'),
    clock,
    logger,
    shutdown,
  });
  const concurrency = config.KILN_BUILDER_CONCURRENCY;
  const app = await NestFactory.createApplicationContext(BuilderModule.for({ redisUrl, concurrency, runner, logger }), {
    logger: ['error', 'fatal'],
    abortOnError: false,
  });
  // Waits for running builds, which end because `shutdown` is aborted.
  resources.defer(() => app.close());
  // For whoever started the process: from now on it takes builds.
  process.stdout.write(`${JSON.stringify({ event: 'ready', id: builderId })}\n`);
  await beat(builders, { builderId, clock, shutdown, logger });
}

interface Beating {
  readonly builderId: string;
  readonly clock: Clock;
  readonly shutdown: AbortSignal;
  readonly logger: Logger;
}

/** Tells the farm that this builder lives, until it is asked to end. */
async function beat(builders: BuilderRegistry, { builderId, clock, shutdown, logger }: Beating): Promise<void> {
  const say = async (state: 'ready' | 'stopped'): Promise<void> => {
    try {
      await builders.heartbeat(builderId, state);
    } catch (thrown) {
      logger.warn('the builder’s heartbeat failed', { error: messageOf(thrown) });
    }
  };
  while (!shutdown.aborted) {
    await clock.sleep(HEARTBEAT_PERIOD_MS, shutdown).catch(() => undefined);
    await say(shutdown.aborted ? 'stopped' : 'ready');
  }
}

const shutdown = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => shutdown.abort());
try {
  await serve(readConfig(process.env), shutdown.signal);
  process.exit(0);
} catch (error) {
  logger.error(`the builder cannot go on: ${messageOf(error)}`, { error });
  process.exit(1);
}
