import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { BuildEvent, findStep, LogSearch, LogSearchQuery, NumberedEvent, ProjectQuery } from '#protocol';
import type { Clock } from '#std';
import type { BuildLedger, EventFeed, Principal, ReadableProjects } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, toTheEnd } from '../http/leaving.ts';
import { parseHeader } from '../http/problem.ts';
import { Described } from '../openapi/described.ts';
import { CLOCK, FEED, LEDGER, READABLE, SHUTDOWN } from '../tokens.ts';
import { readable } from './readable.ts';
import { eventStream } from './event-source.ts';
import { jsonLines, logText } from './log-text.ts';
import { ofStep } from './of-step.ts';
import { searchLog } from './search-log.ts';

const seq = z.coerce.number().int().min(0);
const LogsQuery = ProjectQuery.extend({
  follow: z.enum(['0', '1', 'true', 'false']).default('0'),
  after: seq.default(0),
  step: z.string().min(1).max(255).optional(),
});
const SearchQuery = LogSearchQuery.extend(ProjectQuery.shape);
const LastEventId = seq.optional();

@Controller('v1/builds/:id/logs')
export class BuildLogsController {
  readonly #ledger: BuildLedger;
  readonly #readable: ReadableProjects;
  readonly #feed: EventFeed;
  readonly #clock: Clock;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(READABLE) readable: ReadableProjects,
    @Inject(FEED) feed: EventFeed,
    @Inject(CLOCK) clock: Clock,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#ledger = ledger;
    this.#readable = readable;
    this.#feed = feed;
    this.#clock = clock;
    this.#shutdown = shutdown;
  }

  @Described({
    summary: 'the log of a build',
    detail:
      'Text, so far or with follow to the end; with Accept: application/jsonl the same as events, a line each. With Accept: text/event-stream the events as they happen, numbered by their ids; Last-Event-ID or after goes on from there. step is one step alone, to its end: 4 for [4/6], build:4 for [build 4/6].',
    headers: { 'Last-Event-ID': LastEventId },
    answer: { 'text/plain': z.string(), 'text/event-stream': BuildEvent, 'application/jsonl': NumberedEvent },
  })
  @Get()
  async logs(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: LogsQuery }) { project, follow, after, step }: z.infer<typeof LogsQuery>,
    @Headers('accept') accept: string | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { projectId } = await this.#readable.find(caller, project);
    await this.#ledger.get(projectId, id);
    const only = step === undefined ? undefined : await this.#vertexOf(projectId, id, step);
    const signal = clientSignal(reply, this.#shutdown.signal);
    void reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no');
    if (accept?.includes('text/event-stream') === true) {
      const events = this.#feed.watch(id, parseHeader('Last-Event-ID', LastEventId, lastEventId) ?? after, signal);
      const stream = eventStream(ofStep(events, only), this.#clock);
      await reply.type('text/event-stream; charset=utf-8').send(readable(stream));
      return;
    }
    const live = follow === '1' || follow === 'true';
    const all = live ? this.#feed.watch(id, after, signal) : this.#soFar(id, after, signal);
    const events = ofStep(toTheEnd(all, signal), only);
    if (accept !== undefined && /application\/(?:jsonl|x-ndjson)/.test(accept)) {
      await reply.type('application/jsonl; charset=utf-8').send(readable(jsonLines(events)));
      return;
    }
    await reply.type('text/plain; charset=utf-8').send(readable(logText(events)));
  }

  @Described({
    summary: 'lines of a log that have a text',
    detail:
      'Of what the build has said so far, from the first line on. Lines are numbered from 1 in the order of their ends, as the dashboard shows them; next is the after of what follows.',
    answer: LogSearch,
  })
  @Get('search')
  async search(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query({ schema: SearchQuery }) { project, step, ...query }: z.infer<typeof SearchQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<LogSearch> {
    const { projectId } = await this.#readable.find(caller, project);
    await this.#ledger.get(projectId, id);
    const only = step === undefined ? undefined : await this.#vertexOf(projectId, id, step);
    const signal = clientSignal(reply, this.#shutdown.signal);
    return await searchLog(ofStep(toTheEnd(this.#soFar(id, 0, signal), signal), only), query);
  }

  async #vertexOf(projectId: string, id: string, step: string): Promise<string> {
    return findStep(await this.#ledger.steps(projectId, id), step, id).vertex;
  }

  async *#soFar(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    const tip = await this.#feed.tip(id);
    for (let seen = after; seen < tip && !signal.aborted; ) {
      const page = await this.#feed.read(id, seen);
      yield* page;
      seen = page.at(-1)?.seq ?? tip;
    }
  }
}
