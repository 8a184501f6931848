import { Controller, HttpCode, Inject, Post, Req, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { decompress } from '#context';
import { CONTEXT_MANIFEST_TYPE, ContextView } from '#protocol';
import { type Bytes, KilnError } from '#std';
import type { Principal } from '#storage';
import { readable } from '../builds/readable.ts';
import type { ApiConfig } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { Described } from '../openapi/described.ts';
import { CONFIG, SHUTDOWN } from '../tokens.ts';
import { LONG_FROM, viewJson } from './long-answer.ts';
import { TakeContext } from './take-context.ts';

@Controller('v1/contexts')
export class ContextsController {
  readonly #take: TakeContext;
  readonly #config: ApiConfig;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(TakeContext) take: TakeContext,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#take = take;
    this.#config = config;
    this.#shutdown = shutdown;
  }

  @Described({
    summary: 'announce a context by its manifest',
    body: { [CONTEXT_MANIFEST_TYPE]: null },
    answer: ContextView,
    errors: ['CONTEXT_INVALID'],
  })
  @Post()
  @HttpCode(200)
  async take(
    @Caller() caller: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ContextView | StreamableFile> {
    try {
      if (request.headers['content-type']?.split(';')[0]?.trim() !== CONTEXT_MANIFEST_TYPE)
        throw new KilnError('INVALID_ARGUMENT', `a context’s manifest is ${CONTEXT_MANIFEST_TYPE}`, {
          field: 'Content-Type',
        });
      const signal = clientSignal(reply, this.#shutdown.signal);
      const lines = limited(decompress(request.raw), this.#config.KILN_CONTEXT_MAX_FILES);
      const view = await this.#take.claimed(caller.projectId, lines, signal);
      if (view.missing.length < LONG_FROM) return view;
      return new StreamableFile(readable(viewJson(view)), { type: 'application/json; charset=utf-8' });
    } finally {
      drain(request);
    }
  }
}

const NEWLINE = 10;

/** @throws KilnError LIMIT_EXCEEDED as soon as there are more entries than a context may have */
async function* limited(source: Bytes, maxFiles: number): Bytes {
  let lines = -1;
  for await (const chunk of source) {
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) lines++;
    if (lines > maxFiles)
      throw new KilnError('LIMIT_EXCEEDED', `the context has more than ${maxFiles} files`, {
        field: 'context',
        hint: 'leave out with .dockerignore what the build does not need (.git, node_modules, build output)',
      });
    yield chunk;
  }
}
