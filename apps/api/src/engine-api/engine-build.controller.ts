import { Controller, Headers, HttpCode, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ContentStore } from '#content';
import { familiarReference, parseReference } from '#oci';
import type { NumberedEvent } from '#protocol';
import type { Clock, Logger } from '#std';
import type { BuildLedger, EventFeed, ImageStore, Principal } from '#storage';
import { AcceptBuild } from '../builds/accept-build.ts';
import { readable } from '../builds/readable.ts';
import { MAIN_CONTEXT, type Submission } from '../builds/submission.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { CLOCK, CONTENT, FEED, IMAGES, LEDGER, LOGGER, SHUTDOWN } from '../tokens.ts';
import { withoutAddedDockerfile } from './added-dockerfile.ts';
import { BuildParameters, buildRequestOf, isOn, unheeded } from './build-parameters.ts';
import { ClassicOutput } from './classic-output.ts';
import { EngineFilter } from './engine.filter.ts';
import { checkVersion } from './engine-system.controller.ts';
import { messageStream, quietly } from './message-stream.ts';
import { readLog } from './read-log.ts';
import { readRegistryConfig } from './registry-auth.ts';

/** `docker build`, without BuildKit. */
@UseFilters(EngineFilter)
@Controller('engine/:version/build')
export class EngineBuildController {
  readonly #accept: AcceptBuild;
  readonly #ledger: BuildLedger;
  readonly #feed: EventFeed;
  readonly #images: ImageStore;
  readonly #content: ContentStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(FEED) feed: EventFeed,
    @Inject(IMAGES) images: ImageStore,
    @Inject(CONTENT) content: ContentStore,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#accept = accept;
    this.#ledger = ledger;
    this.#feed = feed;
    this.#images = images;
    this.#content = content;
    this.#clock = clock;
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
      const warnings = unheeded(parameters).map((said) => ({ stream: `[Warning] ${said}\n` }));
      const steps = await this.#images.steps(caller);
      const submission: Submission = {
        ...{ request: asked, references: {}, contexts: contextOf(request, asked.contexts) },
        revise: (came) => withoutAddedDockerfile(came, this.#content, signal),
      };
      const { id } = await this.#accept.accept(caller, submission, { idempotencyKey: undefined, signal });
      // Who interrupts docker build means the build.
      signal.addEventListener('abort', () => this.#cancel(caller, id), { once: true });
      if (signal.aborted) this.#cancel(caller, id);
      const tags = asked.tags.map((tag) => familiarReference(parseReference(tag)));
      const known = new Set<string>();
      const output = new ClassicOutput({ buildId: id, tags, known });
      const watched = this.#feed.watch(id, 0, signal);
      // With --no-cache nothing is taken from before.
      const events = asked.noCache ? watched : recognising(watched, (image) => steps.isKnown(image, id), known);
      const messages = messageStream(events, isOn(parameters.q) ? quietly(output) : output, {
        clock: this.#clock,
        first: isOn(parameters.q) ? [] : warnings,
        readLog: (part) => readLog(this.#feed, id, part),
      });
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
}

/** The events, each told once it is known whether the image that it names was there before. */
async function* recognising(
  events: AsyncIterable<NumberedEvent>,
  isKnown: (image: string) => Promise<boolean>,
  known: Set<string>,
): AsyncGenerator<NumberedEvent> {
  for await (const numbered of events) {
    const { event } = numbered;
    if (event.type === 'intermediate' && (await isKnown(event.id))) known.add(event.id);
    yield numbered;
  }
}

async function* contextOf(
  { raw }: FastifyRequest,
  contexts: Readonly<Record<string, unknown>>,
): Submission['contexts'] extends AsyncIterable<infer T> ? AsyncGenerator<T> : never {
  if (Object.hasOwn(contexts, MAIN_CONTEXT)) return;
  yield { name: MAIN_CONTEXT, archive: raw, mayLackEnd: true };
}
