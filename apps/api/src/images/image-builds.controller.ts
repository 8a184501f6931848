import { Body, Controller, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { BuildRequest, BuildView, PushRequest, RunRequest } from '#protocol';
import type { ImageStore, Principal } from '#storage';
import { z } from 'zod';
import { AcceptBuild } from '../builds/accept-build.ts';
import { acceptedView } from '../builds/accepted-view.ts';
import type { ApiConfig } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { IdempotencyKey, parseHeader } from '../http/problem.ts';
import { Described } from '../openapi/described.ts';
import { CONFIG, IMAGES, SHUTDOWN } from '../tokens.ts';
import { bareSubmission } from './bare-submission.ts';
import { runBuildRequest } from './run-build-request.ts';

/** No body at all asks for its own names. */
const PushBody = z.preprocess((given) => given ?? {}, PushRequest);
/** No body at all runs what the image says. */
const RunBody = z.preprocess((given) => given ?? {}, RunRequest);

/** Builds without steps: an image is pushed, or runs once. */
@Controller('v1/images')
export class ImageBuildsController {
  readonly #images: ImageStore;
  readonly #accept: AcceptBuild;
  readonly #config: ApiConfig;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(IMAGES) images: ImageStore,
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#images = images;
    this.#accept = accept;
    this.#config = config;
    this.#shutdown = shutdown;
  }

  @Described({
    summary: 'push an image under names',
    detail: 'Its own where none is said. The answer is a build without steps: its log and its end tell of the push.',
    headers: { 'Idempotency-Key': IdempotencyKey },
    answer: BuildView,
    errors: ['CONFLICT', 'RATE_LIMITED'],
  })
  @Post(':image/push')
  @HttpCode(202)
  async push(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Body({ schema: PushBody }) { names, credentials }: PushRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<BuildView> {
    const found = await this.#images.get(caller, image);
    const tags = names.length > 0 ? names : found.names;
    const request = BuildRequest.parse({ call: 'push', image: found.digest, tags, credentials });
    return await this.#accepted(caller, request, { key, reply });
  }

  @Described({
    summary: 'run a container of an image once',
    detail:
      'An image of the project, or what a registry has by that name. The answer is a build without steps: its log is what the process writes, its failure has the exit code. What the process changes is thrown away.',
    headers: { 'Idempotency-Key': IdempotencyKey },
    answer: BuildView,
    errors: ['CONFLICT', 'RATE_LIMITED'],
  })
  @Post(':image/run')
  @HttpCode(202)
  async run(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Body({ schema: RunBody }) asked: RunRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<BuildView> {
    const request = await runBuildRequest(this.#images, caller, image, asked);
    return await this.#accepted(caller, request, { key, reply });
  }

  async #accepted(
    caller: Principal,
    request: BuildRequest,
    { key, reply }: { readonly key: string | undefined; readonly reply: FastifyReply },
  ): Promise<BuildView> {
    const idempotencyKey = parseHeader('Idempotency-Key', IdempotencyKey, key);
    const { signal } = this.#shutdown;
    const build = await this.#accept.accept(caller, bareSubmission(request), { idempotencyKey, signal });
    return acceptedView(build, this.#config, reply);
  }
}
