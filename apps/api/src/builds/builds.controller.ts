import { Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  type BuildExplanation,
  BuildFilter,
  type BuildList,
  type BuildView,
  explanationOf,
  type StepView,
} from '#protocol';
import type { BuildLedger, Principal, StoredBuild } from '#storage';
import { type ApiConfig, publicUrl } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { parseHeader } from '../http/problem.ts';
import { CONFIG, LEDGER, SHUTDOWN } from '../tokens.ts';
import { AcceptBuild } from './accept-build.ts';
import { readSubmission } from './submission.ts';

const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 printable characters')
  .optional();
/** A parameter that may come several times. */
function many<S extends z.ZodType>(schema: S): z.ZodType<z.output<S>> {
  return z.preprocess((given) => (typeof given === 'string' ? [given] : given), schema);
}
const SubmitQuery = z.object({ request: z.string().optional() });
const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(64).optional(),
  state: many(BuildFilter.shape.state),
  scope: many(BuildFilter.shape.scope),
  image: many(BuildFilter.shape.image),
  since: BuildFilter.shape.since,
  until: BuildFilter.shape.until,
});

@Controller('v1/builds')
export class BuildsController {
  readonly #accept: AcceptBuild;
  readonly #ledger: BuildLedger;
  readonly #url: string;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#accept = accept;
    this.#ledger = ledger;
    this.#url = publicUrl(config);
    this.#shutdown = shutdown;
  }

  @Post()
  @HttpCode(202)
  async submit(
    @Caller() caller: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Query({ schema: SubmitQuery }) query: z.infer<typeof SubmitQuery>,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<BuildView> {
    try {
      const idempotencyKey = parseHeader('Idempotency-Key', IdempotencyKey, key);
      const signal = clientSignal(reply, this.#shutdown.signal);
      const submission = await readSubmission(request, query.request);
      const build = await this.#accept.accept(caller, submission, { idempotencyKey, signal });
      void reply.header('location', `/v1/builds/${build.id}`);
      return this.#view(build);
    } finally {
      drain(request);
    }
  }

  @Get()
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ListQuery }) { limit, cursor, ...filter }: z.infer<typeof ListQuery>,
  ): Promise<BuildList> {
    const { builds, next } = await this.#ledger.list(caller.projectId, { limit, before: cursor, filter });
    return { builds: builds.map((build) => this.#view(build)), next };
  }

  @Get(':id')
  async get(@Caller() caller: Principal, @Param('id') id: string): Promise<BuildView> {
    return this.#view(await this.#ledger.get(caller.projectId, id));
  }

  @Get(':id/steps')
  async steps(@Caller() caller: Principal, @Param('id') id: string): Promise<{ readonly steps: readonly StepView[] }> {
    return { steps: await this.#ledger.steps(caller.projectId, id) };
  }

  @Get(':id/explain')
  async explain(@Caller() caller: Principal, @Param('id') id: string): Promise<BuildExplanation> {
    const build = await this.#ledger.get(caller.projectId, id);
    return explanationOf(this.#view(build), await this.#ledger.steps(caller.projectId, id));
  }

  @Post(':id/cancel')
  @HttpCode(202)
  async cancel(@Caller() caller: Principal, @Param('id') id: string): Promise<BuildView> {
    return this.#view(await this.#ledger.requestCancel(caller.projectId, id));
  }

  #view(build: StoredBuild): BuildView {
    return { ...build, url: `${this.#url}/v1/builds/${build.id}` };
  }
}
