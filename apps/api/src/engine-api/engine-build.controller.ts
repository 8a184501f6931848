import { Controller, Headers, HttpCode, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { familiarReference, parseReference } from '#oci';
import type { Logger } from '#std';
import type { BuildLedger, EventFeed, ImageStore, Principal } from '#storage';
import { AcceptBuild } from '../builds/accept-build.ts';
import { readable } from '../builds/readable.ts';
import { MAIN_CONTEXT, type Submission } from '../builds/submission.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { FEED, IMAGES, LEDGER, LOGGER, SHUTDOWN } from '../tokens.ts';
import { BuildParameters, buildRequestOf, isOn } from './build-parameters.ts';
import { ClassicOutput } from './classic-output.ts';
import { EngineFilter } from './engine.filter.ts';
import { checkVersion } from './engine-system.controller.ts';
import { messageStream, quietly } from './message-stream.ts';
import { readRegistryConfig } from './registry-auth.ts';

/** Of the newest images of the name: an instruction that gave one of them used the cache. */
const KNOWN_IMAGES = 20;

/** `docker build`, without BuildKit. */
@UseFilters(EngineFilter)
@Controller('engine/:version/build')
export class EngineBuildController {
  readonly #accept: AcceptBuild;
  readonly #ledger: BuildLedger;
  readonly #feed: EventFeed;
  readonly #images: ImageStore;
  readonly #logger: Logger;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(FEED) feed: EventFeed,
    @Inject(IMAGES) images: ImageStore,
    @Inject(LOGGER) logger: Logger,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#accept = accept;
    this.#ledger = ledger;
    this.#feed = feed;
    this.#images = images;
    this.#logger = logger;
    this.#shutdown = shutdown;
  }

  @Post()
  @HttpCode(200)
  async build(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Query({ schema: BuildParameters }) parameters: BuildParameters,
    @Headers('x-registry-config') config: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    checkVersion(version);
    const signal = clientSignal(reply, this.#shutdown.signal);
    try {
      const asked = buildRequestOf(parameters, readRegistryConfig(config));
      const known = await this.#known(caller, asked.tags[0]);
      const submission: Submission = { request: asked, references: {}, contexts: contextOf(request, asked.contexts) };
      const { id } = await this.#accept.accept(caller, submission, { idempotencyKey: undefined, signal });
      // Who interrupts docker build means the build.
      signal.addEventListener('abort', () => this.#cancel(caller, id), { once: true });
      if (signal.aborted) this.#cancel(caller, id);
      const tags = asked.tags.map((tag) => familiarReference(parseReference(tag)));
      const output = new ClassicOutput({ buildId: id, tags, known });
      const events = this.#feed.watch(id, 0, signal);
      const messages = messageStream(events, isOn(parameters.q) ? quietly(output) : output);
      void reply.header('x-kiln-build', id).header('cache-control', 'no-store').header('x-accel-buffering', 'no');
      await reply.type('application/json').send(readable(messages));
    } finally {
      drain(request);
    }
  }

  /** The farm's own end leaves the build to the builders. */
  #cancel({ projectId }: Principal, id: string): void {
    if (this.#shutdown.signal.aborted) return;
    this.#ledger.requestCancel(projectId, id).catch((error: unknown) => {
      this.#logger.warn('a build whose docker client left goes on', { buildId: id, error });
    });
  }

  async #known(caller: Principal, tag: string | undefined): Promise<ReadonlySet<string>> {
    const name = tag === undefined ? undefined : repositoryOf(tag);
    const { images } = await this.#images.list(caller, { limit: KNOWN_IMAGES, name, all: true });
    return new Set(images.flatMap(({ id, intermediates = [] }) => [id, ...intermediates.map((each) => each.id)]));
  }
}

function repositoryOf(tag: string): string {
  const { registry, repository } = parseReference(tag);
  return `${registry}/${repository}`;
}

async function* contextOf(
  { raw }: FastifyRequest,
  contexts: Readonly<Record<string, unknown>>,
): Submission['contexts'] extends AsyncIterable<infer T> ? AsyncGenerator<T> : never {
  if (Object.hasOwn(contexts, MAIN_CONTEXT)) return;
  yield { name: MAIN_CONTEXT, archive: raw, mayLackEnd: true };
}
