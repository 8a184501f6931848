import { Controller, Get, Headers, Inject, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { ContentStore } from '#content';
import { KilnError } from '#std';
import type { BuildLedger, Principal } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { namesTag } from '../http/entity-tags.ts';
import { clientSignal } from '../http/leaving.ts';
import { Described } from '../openapi/described.ts';
import { CONTENT, LEDGER, SHUTDOWN } from '../tokens.ts';
import { begun } from './begun.ts';
import { readable } from './readable.ts';

const OutputParams = z.object({ id: z.string(), n: z.coerce.number().int().min(0).max(1_000) });

@Controller('v1/builds/:id/outputs')
export class BuildOutputsController {
  readonly #ledger: BuildLedger;
  readonly #content: ContentStore;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(CONTENT) content: ContentStore,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#ledger = ledger;
    this.#content = content;
    this.#shutdown = shutdown;
  }

  @Described({ summary: 'a file that a build made', answer: { 'application/x-tar': null }, errors: ['BLOB_MISSING'] })
  @Get(':n')
  async output(
    @Caller() caller: Principal,
    @Param({ schema: OutputParams }) { id, n }: z.infer<typeof OutputParams>,
    @Headers('if-none-match') known: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { result, state } = await this.#ledger.get(caller.projectId, id);
    const output = result?.outputs[n];
    if (output === undefined) {
      throw new KilnError('NOT_FOUND', `the build ${id} has no output ${n}`, {
        hint: state === 'queued' || state === 'running' ? 'wait until the build has ended' : undefined,
      });
    }
    const tag = `"${output.digest}"`;
    void reply.header('etag', tag).header('accept-ranges', 'none');
    if (namesTag(known, tag)) {
      await reply.status(304).send();
      return;
    }
    const signal = clientSignal(reply, this.#shutdown.signal);
    const body = await begun(this.#content.get(output.digest, signal));
    await reply.type('application/x-tar').header('content-length', output.sizeBytes).send(readable(body));
  }
}
