import {
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Res,
  UseFilters,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ContentStore } from '#content';
import { familiarReference, formatReference, ImageConfigSchema, parseReference } from '#oci';
import { BuildRequest, type ImageDetail, type ImageView } from '#protocol';
import { type Clock, collect, isKilnError, KilnError } from '#std';
import type { BuildLedger, EventFeed, ImageStore, Principal } from '#storage';
import { z } from 'zod';
import { AcceptBuild } from '../builds/accept-build.ts';
import { readable } from '../builds/readable.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal } from '../http/leaving.ts';
import { bareSubmission } from '../images/bare-submission.ts';
import { CLOCK, CONTENT, FEED, IMAGES, LEDGER, SHUTDOWN } from '../tokens.ts';
import { isOn } from './build-parameters.ts';
import { EngineFilter } from './engine.filter.ts';
import { checkVersion } from './engine-system.controller.ts';
import { historyOf, inspected, summaries } from './image-json.ts';
import { imageFilter } from './image-filter.ts';
import { messageStream } from './message-stream.ts';
import { PushOutput } from './push-output.ts';
import { readLog } from './read-log.ts';
import { readRegistryAuth } from './registry-auth.ts';

const ListQuery = z.looseObject({
  all: z.string().optional(),
  filters: z.string().optional(),
  filter: z.string().optional(),
});
const TagQuery = z.looseObject({ repo: z.string(), tag: z.string().optional() });
const PushQuery = z.looseObject({ tag: z.string().optional() });
const RemoveQuery = z.looseObject({ force: z.string().optional() });

const PAGE = 100;
/** `docker images` has no pages. */
const MAX_LISTED = 1_000;
/** At once, each a build in the queue. */
const MAX_PUSHED = 500;
const CONFIG_LIMIT_BYTES = 16 * 1024 * 1024;

/** Images as `docker images`, `history`, `tag`, `push` and `rmi` see them. */
@UseFilters(EngineFilter)
@Controller('engine/:version/images')
export class EngineImagesController {
  readonly #images: ImageStore;
  readonly #content: ContentStore;
  readonly #accept: AcceptBuild;
  readonly #feed: EventFeed;
  readonly #ledger: BuildLedger;
  readonly #clock: Clock;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(IMAGES) images: ImageStore,
    @Inject(CONTENT) content: ContentStore,
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(FEED) feed: EventFeed,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(CLOCK) clock: Clock,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#images = images;
    this.#content = content;
    this.#accept = accept;
    this.#feed = feed;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#shutdown = shutdown;
  }

  @Get('json')
  async list(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Query({ schema: ListQuery }) { all, filters, filter }: z.infer<typeof ListQuery>,
  ): Promise<unknown> {
    checkVersion(version);
    const wanted = imageFilter(filters, filter);
    const found: ImageView[] = [];
    for (let cursor: string | undefined; found.length < MAX_LISTED; ) {
      const page = await this.#images.list(caller, { limit: PAGE, cursor, all: isOn(all) || wanted.dangling === true });
      found.push(...page.images.filter((image) => wanted.takes(image)));
      if (page.next === null) break;
      cursor = page.next;
    }
    return found.flatMap((image) => summaries(isOn(all) ? image : { ...image, intermediates: [] }));
  }

  @Get(':image/json')
  async inspect(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Param('image') image: string,
  ): Promise<unknown> {
    checkVersion(version);
    const detail = await this.#get(caller, image);
    const bytes = await collect(this.#content.get(detail.id), CONFIG_LIMIT_BYTES);
    return inspected(detail, ImageConfigSchema.parse(JSON.parse(bytes.toString('utf8'))));
  }

  @Get(':image/history')
  async history(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Param('image') image: string,
  ): Promise<unknown> {
    checkVersion(version);
    return historyOf(await this.#get(caller, image));
  }

  @Post(':image/tag')
  @HttpCode(201)
  async tag(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Param('image') image: string,
    @Query({ schema: TagQuery }) { repo, tag }: z.infer<typeof TagQuery>,
  ): Promise<void> {
    checkVersion(version);
    const name = tag === undefined || tag === '' ? repo : `${repo}:${tag}`;
    await this.#named(image, () => this.#images.tag(caller, image, name));
  }

  @Post(':image/push')
  @HttpCode(200)
  async push(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Param('image') repository: string,
    @Query({ schema: PushQuery }) { tag }: z.infer<typeof PushQuery>,
    @Headers('x-registry-auth') auth: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    checkVersion(version);
    const names = await this.#pushed(caller, repository, tag);
    const credentials = readRegistryAuth(auth);
    const signal = clientSignal(reply, this.#shutdown.signal);
    const accepted: { readonly id: string; readonly output: PushOutput }[] = [];
    for (const name of names) {
      const image = await this.#get(caller, name, `An image does not exist locally with the tag: ${repository}`);
      const host = parseReference(name).registry;
      const request = BuildRequest.parse({
        ...{ call: 'push', image: image.digest, tags: [name] },
        credentials: credentials === undefined ? {} : { [host]: credentials },
      });
      const { id } = await this.#accept.accept(caller, bareSubmission(request), { idempotencyKey: undefined, signal });
      accepted.push({ id, output: new PushOutput(image, [name]) });
    }
    // Who interrupts docker push means the push; the farm's own end leaves it to the builders.
    const cancel = (): void => {
      if (this.#shutdown.signal.aborted) return;
      for (const { id } of accepted) void this.#ledger.requestCancel(caller.projectId, id).catch(() => undefined);
    };
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    const [feed, clock] = [this.#feed, this.#clock];
    const messages = async function* (): AsyncGenerator<string> {
      for (const { id, output } of accepted) {
        const events = feed.watch(id, 0, signal);
        yield* messageStream(events, output, {
          ...{ clock, first: output.begin() },
          readLog: (part) => readLog(feed, id, part),
        });
      }
    };
    void reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no');
    await reply.type('application/json').send(readable(messages()));
  }

  @Delete(':image')
  async remove(
    @Caller() caller: Principal,
    @Param('version') version: string,
    @Param('image') image: string,
    @Query({ schema: RemoveQuery }) { force }: z.infer<typeof RemoveQuery>,
  ): Promise<unknown> {
    checkVersion(version);
    const { untagged, deleted } = await this.#named(image, () =>
      this.#images.remove(caller, image, { force: isOn(force) }),
    );
    return [
      ...untagged.map((name) => ({ Untagged: familiarReference(parseReference(name)) })),
      ...deleted.map((digest) => ({ Deleted: digest })),
    ];
  }

  #get(caller: Principal, image: string, message?: string): Promise<ImageDetail> {
    return this.#named(image, () => this.#images.get(caller, image), message);
  }

  /** What scripts look for where an image is not there. */
  async #named<T>(image: string, work: () => Promise<T>, message = `No such image: ${image}`): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw isKilnError(cause, 'NOT_FOUND') ? new KilnError('NOT_FOUND', message, { cause }) : cause;
    }
  }

  /** One tag, or with `-a` all that the repository has. @throws KilnError NOT_FOUND */
  async #pushed(caller: Principal, repository: string, tag: string | undefined): Promise<readonly string[]> {
    const { registry, repository: path } = parseReference(repository);
    if (tag !== undefined && tag !== '') return [formatReference({ registry, repository: path, tag })];
    const names: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await this.#images.list(caller, { limit: PAGE, cursor, name: `${registry}/${path}`, all: false });
      const found = page.images.flatMap((image) => image.names);
      names.push(...found.filter((name) => name.startsWith(`${registry}/${path}:`)));
      if (names.length > MAX_PUSHED) {
        throw new KilnError('INVALID_ARGUMENT', `${repository} has more than ${MAX_PUSHED} tags: push them one by one`);
      }
      if (page.next === null) break;
      cursor = page.next;
    }
    if (names.length > 0) return names;
    throw new KilnError('NOT_FOUND', `An image does not exist locally with the tag: ${repository}`);
  }
}
