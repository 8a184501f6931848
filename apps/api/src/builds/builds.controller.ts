import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  BuildExplanation,
  BuildFilter,
  BuildList,
  BuildRequest,
  BuildSubmission,
  BuildView,
  ContextReferences,
  explanationOf,
  ProjectQuery,
  Provenance,
  provenanceOf,
  RetryRequest,
  StepList,
} from '#protocol';
import type { BuildLedger, Principal, ReadableProjects, StoredBuild } from '#storage';
import { type ApiConfig, buildUrl } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { many } from '../http/many.ts';
import { IdempotencyKey, parseHeader } from '../http/problem.ts';
import { Described } from '../openapi/described.ts';
import { CONFIG, LEDGER, READABLE, SHUTDOWN } from '../tokens.ts';
import { AcceptBuild } from './accept-build.ts';
import { acceptedView } from './accepted-view.ts';
import { QueryFlags } from './query-request.ts';
import { archiveTypes, readSubmission } from './submission.ts';

/** As the document tells them; they are read one by one. */
const SubmittedParts = z.object({
  request: BuildRequest,
  contexts: ContextReferences.optional(),
  context: z.string().optional(),
});
/** No body at all is one that brings nothing. */
const RetryBody = z.preprocess((given) => given ?? {}, RetryRequest);
/** Either a request in JSON, or flags. */
const SubmitQuery = QueryFlags.extend({ request: z.string().optional() });
const ListQuery = ProjectQuery.extend({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(64).optional(),
  state: many(BuildFilter.shape.state),
  scope: many(BuildFilter.shape.scope),
  image: many(BuildFilter.shape.image),
  branch: many(BuildFilter.shape.branch),
  commit: many(BuildFilter.shape.commit),
  author: many(BuildFilter.shape.author),
  text: BuildFilter.shape.text,
  step: BuildFilter.shape.step,
  cause: BuildFilter.shape.cause,
  outcome: BuildFilter.shape.outcome,
  since: BuildFilter.shape.since,
  until: BuildFilter.shape.until,
});

@Controller('v1/builds')
export class BuildsController {
  readonly #accept: AcceptBuild;
  readonly #ledger: BuildLedger;
  readonly #readable: ReadableProjects;
  readonly #config: ApiConfig;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(AcceptBuild) accept: AcceptBuild,
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(READABLE) readable: ReadableProjects,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#accept = accept;
    this.#ledger = ledger;
    this.#readable = readable;
    this.#config = config;
    this.#shutdown = shutdown;
  }

  @Described({
    summary: 'submit a build',
    detail:
      'As parts: request, then contexts or the tars context and context:NAME. Or the tar of the context as the body (plain, gzip or zstd), with the flags of docker buildx as query parameters, or the request in JSON as one. Or as JSON, of contexts that the farm has.',
    body: {
      'multipart/form-data': SubmittedParts,
      'application/json': BuildSubmission,
      ...Object.fromEntries(archiveTypes.map((type) => [type, null])),
    },
    headers: { 'Idempotency-Key': IdempotencyKey },
    answer: BuildView,
    errors: ['CONTEXT_INVALID', 'NOT_FOUND', 'CONFLICT', 'RATE_LIMITED'],
  })
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
      const submission = await readSubmission(request, query);
      const build = await this.#accept.accept(caller, submission, { idempotencyKey, signal });
      return acceptedView(build, this.#config, reply);
    } finally {
      drain(request);
    }
  }

  @Described({ summary: 'builds, the newest first', answer: BuildList, errors: ['NOT_FOUND'] })
  @Get()
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ListQuery }) { project, limit, cursor, ...filter }: z.infer<typeof ListQuery>,
  ): Promise<BuildList> {
    const { projectId } = await this.#readable.find(caller, project);
    const { builds, next } = await this.#ledger.list(projectId, { limit, before: cursor, filter });
    return { builds: builds.map((build) => this.#view(build)), next };
  }

  @Described({ summary: 'a build', answer: BuildView })
  @Get(':id')
  async get(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: ProjectQuery }) { project }: ProjectQuery,
  ): Promise<BuildView> {
    const { projectId } = await this.#readable.find(caller, project);
    return this.#view(await this.#ledger.get(projectId, id));
  }

  @Described({ summary: 'the steps of a build', answer: StepList })
  @Get(':id/steps')
  async steps(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: ProjectQuery }) { project }: ProjectQuery,
  ): Promise<StepList> {
    const { projectId } = await this.#readable.find(caller, project);
    return { steps: [...(await this.#ledger.steps(projectId, id))] };
  }

  @Described({ summary: 'why each step hit or missed', answer: BuildExplanation })
  @Get(':id/explain')
  async explain(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: ProjectQuery }) { project }: ProjectQuery,
  ): Promise<BuildExplanation> {
    const { projectId } = await this.#readable.find(caller, project);
    const build = await this.#ledger.get(projectId, id);
    return explanationOf(this.#view(build), await this.#ledger.steps(projectId, id));
  }

  @Described({
    summary: 'what the image of a build was made of',
    detail:
      'A statement of in-toto with a predicate of SLSA (provenance v1), as the farm recorded it. It is not signed.',
    answer: Provenance,
  })
  @Get(':id/provenance')
  async provenance(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: ProjectQuery }) { project }: ProjectQuery,
  ): Promise<Provenance> {
    const { projectId } = await this.#readable.find(caller, project);
    const build = await this.#ledger.get(projectId, id);
    return provenanceOf(this.#view(build), await this.#ledger.steps(projectId, id));
  }

  @Described({ summary: 'end a build', answer: BuildView })
  @Post(':id/cancel')
  @HttpCode(202)
  async cancel(@Caller() caller: Principal, @Param('id') id: string): Promise<BuildView> {
    await this.#ledger.checkReach(caller, id);
    return this.#view(await this.#ledger.requestCancel(caller.projectId, id));
  }

  @Described({
    summary: 'run a build that has ended once more',
    detail:
      'With the request and the contexts that it had. Secrets and credentials went with its end, and are given anew.',
    headers: { 'Idempotency-Key': IdempotencyKey },
    answer: BuildView,
    errors: ['CONFLICT', 'RATE_LIMITED'],
  })
  @Post(':id/retry')
  @HttpCode(202)
  async retry(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: RetryBody }) parts: RetryRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<BuildView> {
    const idempotencyKey = parseHeader('Idempotency-Key', IdempotencyKey, key);
    const build = await this.#accept.retry(caller, id, parts, idempotencyKey);
    return acceptedView(build, this.#config, reply);
  }

  #view(build: StoredBuild): BuildView {
    return { ...build, url: buildUrl(this.#config, build.id) };
  }
}
