import { BullModule, getQueueToken } from '@nestjs/bullmq';
import { type DynamicModule, type FactoryProvider, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { type ContentStore, openContentStore } from '#content';
import { BUILD_QUEUE, bullQueue, HEARTBEAT_TTL_MS, PartQueues, producerOptions, routedQueue } from '#dispatch';
import { Issuers, SignInIssuer } from '#identity';
import { ApiMetrics } from '#metrics';
import type { Clock, Logger, Random } from '#std';
import {
  AuditLog,
  BlobIndex,
  BrowserSessions,
  BuilderRegistry,
  BuildLedger,
  CacheAdmin,
  Collector,
  ContextStore,
  type Database,
  EventArchive,
  EventFeed,
  FarmFigureReader,
  ImageStore,
  openDatabase,
  openRedis,
  type RedisLink,
  ReadableProjects,
  RegistryCredentialStore,
  SignInFlows,
  SignIns,
  ProjectSwitch,
  StatisticsReader,
  TeamStore,
  TokenStore,
  TrustRuleStore,
  WebhookDeliveries,
  WebhookOutbox,
  WebhookStore,
} from '#storage';
import { type ApiConfig, collectorLimits, signInIssuer, signInRules, webhookDisableAfterMs } from './config.ts';
import * as tokens from './tokens.ts';

/** What comes into the process from outside. */
export interface Environment {
  readonly config: ApiConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

type QueueEvents = Parameters<typeof bullQueue>[0] & { on(event: 'error', listener: (error: Error) => void): unknown };

const stores: readonly FactoryProvider[] = [
  {
    provide: tokens.LEDGER,
    inject: [tokens.DATABASE, tokens.REDIS, tokens.CLOCK, tokens.LOGGER],
    useFactory: (db: Database, redis: RedisLink, clock: Clock, logger: Logger) =>
      new BuildLedger({ db, redis, clock, logger }),
  },
  {
    provide: tokens.FEED,
    inject: [tokens.DATABASE, tokens.REDIS, tokens.CONTENT, tokens.CLOCK],
    useFactory: (db: Database, redis: RedisLink, content: ContentStore, clock: Clock) =>
      new EventFeed({ db, redis, content, clock }),
  },
  {
    provide: tokens.ARCHIVE,
    inject: [tokens.DATABASE, tokens.CONTENT],
    useFactory: (db: Database, content: ContentStore) => new EventArchive({ db, content }),
  },
  { provide: tokens.CONTEXTS, inject: [tokens.DATABASE], useFactory: (db: Database) => new ContextStore(db) },
  { provide: tokens.IMAGES, inject: [tokens.DATABASE], useFactory: (db: Database) => new ImageStore(db) },
  { provide: tokens.BLOBS, inject: [tokens.DATABASE], useFactory: (db: Database) => new BlobIndex(db) },
  {
    provide: tokens.BUILDERS,
    inject: [tokens.DATABASE],
    useFactory: (db: Database) => new BuilderRegistry(db),
  },
  {
    provide: tokens.STATISTICS,
    inject: [tokens.DATABASE],
    useFactory: (db: Database) => new StatisticsReader(db),
  },
  {
    provide: tokens.CACHE,
    inject: [tokens.DATABASE, tokens.CONFIG],
    useFactory: (db: Database, config: ApiConfig) => new CacheAdmin(db, collectorLimits(config).projectBytes),
  },
  {
    provide: tokens.COLLECTOR,
    inject: [tokens.DATABASE, tokens.CONTENT, tokens.CONFIG, tokens.LOGGER],
    useFactory: (db: Database, content: ContentStore, config: ApiConfig, logger: Logger) =>
      new Collector({ db, content, limits: collectorLimits(config), logger }),
  },
  {
    provide: tokens.TOKENS,
    inject: [tokens.DATABASE, tokens.RANDOM, tokens.CLOCK],
    useFactory: (db: Database, random: Random, clock: Clock) => new TokenStore(db, random, clock),
  },
  {
    provide: tokens.BROWSER_SESSIONS,
    inject: [tokens.DATABASE, tokens.TOKENS, tokens.RANDOM, tokens.CLOCK],
    useFactory: (db: Database, store: TokenStore, random: Random, clock: Clock) =>
      new BrowserSessions({ db, tokens: store, random, clock }),
  },
  {
    provide: tokens.SIGN_IN_FLOWS,
    inject: [tokens.DATABASE, tokens.RANDOM, tokens.CLOCK, tokens.CONFIG],
    useFactory: (db: Database, random: Random, clock: Clock, { KILN_SECRET_KEY: key }: ApiConfig) =>
      new SignInFlows({ db, random, clock, key: Buffer.from(key, 'hex') }),
  },
  {
    provide: tokens.SIGN_INS,
    inject: [tokens.DATABASE, tokens.RANDOM, tokens.CLOCK, tokens.CONFIG],
    useFactory: (db: Database, random: Random, clock: Clock, config: ApiConfig) =>
      new SignIns({ db, random, clock, rules: signInRules(config) }),
  },
  {
    provide: tokens.PROJECT_SWITCH,
    inject: [tokens.DATABASE, tokens.RANDOM],
    useFactory: (db: Database, random: Random) => new ProjectSwitch(db, random),
  },
  {
    provide: tokens.TEAMS,
    inject: [tokens.DATABASE, tokens.RANDOM],
    useFactory: (db: Database, random: Random) => new TeamStore(db, random),
  },
  {
    provide: tokens.READABLE,
    inject: [tokens.DATABASE],
    useFactory: (db: Database) => new ReadableProjects(db),
  },
  {
    provide: tokens.TRUST_RULES,
    inject: [tokens.DATABASE, tokens.RANDOM],
    useFactory: (db: Database, random: Random) => new TrustRuleStore(db, random),
  },
  {
    provide: tokens.REGISTRIES,
    inject: [tokens.DATABASE, tokens.CONFIG, tokens.RANDOM],
    useFactory: (db: Database, { KILN_SECRET_KEY: key }: ApiConfig, random: Random) =>
      new RegistryCredentialStore(db, Buffer.from(key, 'hex'), random),
  },
  {
    provide: tokens.WEBHOOKS,
    inject: [tokens.DATABASE, tokens.CONFIG, tokens.RANDOM],
    useFactory: (db: Database, { KILN_SECRET_KEY: key }: ApiConfig, random: Random) =>
      new WebhookStore(db, Buffer.from(key, 'hex'), random),
  },
  {
    provide: tokens.DELIVERIES,
    inject: [tokens.DATABASE, tokens.REDIS, tokens.LOGGER],
    useFactory: (db: Database, redis: RedisLink, logger: Logger) => new WebhookDeliveries(db, redis, logger),
  },
  {
    provide: tokens.OUTBOX,
    inject: [tokens.DATABASE, tokens.REDIS, tokens.CONFIG, tokens.LOGGER],
    useFactory: (db: Database, redis: RedisLink, config: ApiConfig, logger: Logger) =>
      new WebhookOutbox({
        ...{ db, redis, logger, key: Buffer.from(config.KILN_SECRET_KEY, 'hex') },
        disableAfterMs: webhookDisableAfterMs(config),
      }),
  },
  {
    provide: tokens.FIGURES,
    inject: [tokens.DATABASE, tokens.CLOCK],
    useFactory: (db: Database, clock: Clock) => new FarmFigureReader(db, clock, HEARTBEAT_TTL_MS),
  },
  { provide: tokens.METRICS, useFactory: () => new ApiMetrics() },
  { provide: tokens.AUDIT, inject: [tokens.DATABASE], useFactory: (db: Database) => new AuditLog(db) },
];

const queue: FactoryProvider = {
  provide: tokens.QUEUE,
  inject: [getQueueToken(BUILD_QUEUE), PartQueues, tokens.CLOCK, tokens.LOGGER],
  useFactory: (bull: QueueEvents, parts: PartQueues, clock: Clock, logger: Logger) => {
    let told = '';
    // Unheard, the event would end the process. Reconnecting says the same again and again.
    bull.on('error', ({ message }) => {
      if (message !== told) logger.warn('the queue cannot be reached', { error: message });
      told = message;
    });
    return routedQueue(bullQueue(bull, clock), parts);
  },
};

const parts: FactoryProvider = {
  provide: PartQueues,
  inject: [tokens.BUILDERS, tokens.CONFIG, tokens.CLOCK, tokens.LOGGER],
  useFactory: (builders: BuilderRegistry, { KILN_REDIS_URL: redisUrl }: ApiConfig, clock: Clock, logger: Logger) =>
    new PartQueues({
      redisUrl,
      clock,
      logger,
      fittest: (platform) => builders.fittest(platform, HEARTBEAT_TTL_MS),
    }),
};

/** Postgres, Redis, the content store and the queue, opened once and closed last. */
@Module({})
export class InfrastructureModule implements OnApplicationShutdown {
  readonly #db: Database;
  readonly #redis: RedisLink;
  readonly #parts: PartQueues;
  readonly #issuers: Issuers;
  readonly #signIn: SignInIssuer | undefined;

  constructor(
    @Inject(tokens.DATABASE) db: Database,
    @Inject(tokens.REDIS) redis: RedisLink,
    @Inject(PartQueues) parts: PartQueues,
    @Inject(tokens.ISSUERS) issuers: Issuers,
    @Inject(tokens.SIGN_IN_ISSUER) signIn: SignInIssuer | undefined,
  ) {
    this.#db = db;
    this.#redis = redis;
    this.#parts = parts;
    this.#issuers = issuers;
    this.#signIn = signIn;
  }

  static for({ config, clock, random, logger }: Environment): DynamicModule {
    const values = [
      { provide: tokens.CONFIG, useValue: config },
      { provide: tokens.CLOCK, useValue: clock },
      { provide: tokens.RANDOM, useValue: random },
      { provide: tokens.LOGGER, useValue: logger },
      { provide: tokens.SHUTDOWN, useFactory: () => new AbortController() },
      {
        provide: tokens.DATABASE,
        useFactory: () =>
          openDatabase({ url: config.KILN_DATABASE_URL, max: config.KILN_DATABASE_CONNECTIONS, logger }),
      },
      { provide: tokens.REDIS, useFactory: () => openRedis({ url: config.KILN_REDIS_URL, logger }) },
      {
        provide: tokens.CONTENT,
        useFactory: () => openContentStore(config.KILN_OBJECT_STORE, { random, clock }),
      },
      {
        provide: tokens.ISSUERS,
        useFactory: () => new Issuers({ egress: { allow: config.KILN_OIDC_EGRESS_ALLOW }, clock }),
      },
      {
        provide: tokens.SIGN_IN_ISSUER,
        useFactory: () => {
          const options = signInIssuer(config);
          return options === undefined ? undefined : new SignInIssuer(options);
        },
      },
    ];
    return {
      global: true,
      module: InfrastructureModule,
      imports: [
        BullModule.forRoot(producerOptions(config.KILN_REDIS_URL)),
        BullModule.registerQueue({ name: BUILD_QUEUE }),
      ],
      providers: [...values, ...stores, parts, queue],
      exports: [...values, ...stores, queue].map(({ provide }) => provide),
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#issuers[Symbol.asyncDispose]();
    await this.#signIn?.[Symbol.asyncDispose]();
    await this.#parts[Symbol.asyncDispose]();
    await this.#redis[Symbol.asyncDispose]();
    await this.#db[Symbol.asyncDispose]();
  }
}
