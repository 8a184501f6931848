import {
  BuildExplanation,
  type BuildFilter,
  BuilderList,
  BuilderView,
  BuildList,
  BuildView,
  CacheDisowned,
  type CacheDisownRequest,
  CacheGrowth,
  type CacheGrowthQuery,
  CachePruned,
  type CachePruneRequest,
  CacheReruns,
  type CacheRerunsQuery,
  CacheSeries,
  type CacheSeriesQuery,
  CacheStatistics,
  type CacheStatisticsQuery,
  CacheUsage,
  DearMisses,
  type DearMissesQuery,
  LogSearch,
  type LogSearchQuery,
  type NumberedEvent,
  Provenance,
  type RetryRequestInput,
  StepList,
  type StepView,
} from '#protocol';
import { AccessClient } from './access-client.ts';
import type { ApiConnection } from './api-connection.ts';
import { type EventOptions, followEvents } from './event-stream.ts';
import { ImagesClient } from './images-client.ts';
import { type RetryOptions, SUBMIT_ANSWER_MS } from './submit-options.ts';

export interface ListOptions extends BuildFilter {
  readonly limit?: number | undefined;
  /** `next` of the page before */
  readonly cursor?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What reads the whole index of a project. */
const CACHE_ANSWER_MS = 10 * 60_000;
/** What reads a whole log. */
const SEARCH_ANSWER_MS = 60_000;

export const buildPath = (id: string, rest = ''): string => `/v1/builds/${encodeURIComponent(id)}${rest}`;

/** What the API tells of builds, cache and builders, and what may be done to them: from programs and from browsers. */
export class BuildsClient {
  readonly #connection: ApiConnection;
  readonly #project: string | undefined;
  /** who may do what */
  readonly access: AccessClient;
  readonly images: ImagesClient;

  /** @param project another one of the team than the token's: builds, steps, logs and figures are read there */
  constructor(connection: ApiConnection, project?: string) {
    this.#connection = connection;
    this.#project = project;
    this.access = new AccessClient(connection);
    this.images = new ImagesClient(connection);
  }

  /** What reads builds and figures of another project of the team; undefined stands for the token's own. */
  ofProject(project: string | undefined): BuildsClient {
    return new BuildsClient(this.#connection, project);
  }

  #readPath(path: string, query = new URLSearchParams()): string {
    if (this.#project !== undefined) query.set('project', this.#project);
    return query.size === 0 ? path : `${path}?${query.toString()}`;
  }

  build(id: string, signal?: AbortSignal): Promise<BuildView> {
    return this.#connection.json(BuildView, { path: this.#readPath(buildPath(id)), signal });
  }

  /** One page, newest first. */
  builds({ limit, cursor, signal, ...filter }: ListOptions = {}): Promise<BuildList> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter))
      for (const each of [value ?? []].flat()) query.append(name, each);
    if (limit !== undefined) query.set('limit', String(limit));
    if (cursor !== undefined) query.set('cursor', cursor);
    return this.#connection.json(BuildList, { path: this.#readPath('/v1/builds', query), signal });
  }

  /** Who builds, and what they do for the project. */
  async builders(signal?: AbortSignal): Promise<readonly BuilderView[]> {
    return (await this.#connection.json(BuilderList, { path: '/v1/builders', signal })).builders;
  }

  /** Lets a builder take no more builds, or take them again; only the operator's token is good for it. */
  async drainBuilder(id: string, drained: boolean, signal?: AbortSignal): Promise<BuilderView> {
    const path = `/v1/builders/${encodeURIComponent(id)}/drain`;
    return await this.#connection.json(BuilderView, { method: drained ? 'POST' : 'DELETE', path, signal });
  }

  cacheStatistics({ days, by, scope, limit }: CacheStatisticsQuery, signal?: AbortSignal): Promise<CacheStatistics> {
    const query = new URLSearchParams({ days: String(days), by, limit: String(limit) });
    if (scope !== undefined) query.set('scope', scope);
    return this.#connection.json(CacheStatistics, { path: this.#readPath('/v1/cache/statistics', query), signal });
  }

  /** The same day by day. */
  cacheSeries({ days, by, scope, limit }: CacheSeriesQuery, signal?: AbortSignal): Promise<CacheSeries> {
    const query = new URLSearchParams({ days: String(days), by, limit: String(limit) });
    if (scope !== undefined) query.set('scope', scope);
    return this.#connection.json(CacheSeries, { path: this.#readPath('/v1/cache/statistics/series', query), signal });
  }

  /** Which steps that ran cost most. */
  dearMisses({ days, scope, limit }: DearMissesQuery, signal?: AbortSignal): Promise<DearMisses> {
    const query = new URLSearchParams({ days: String(days), limit: String(limit) });
    if (scope !== undefined) query.set('scope', scope);
    return this.#connection.json(DearMisses, { path: this.#readPath('/v1/cache/misses', query), signal });
  }

  /** Which steps gave the same when they ran again. */
  cacheReruns({ days, scope, limit }: CacheRerunsQuery, signal?: AbortSignal): Promise<CacheReruns> {
    const query = new URLSearchParams({ days: String(days), limit: String(limit) });
    if (scope !== undefined) query.set('scope', scope);
    return this.#connection.json(CacheReruns, { path: this.#readPath('/v1/cache/reruns', query), signal });
  }

  async steps(id: string, signal?: AbortSignal): Promise<readonly StepView[]> {
    return (await this.#connection.json(StepList, { path: this.#readPath(buildPath(id, '/steps')), signal })).steps;
  }

  /** Why each step of a build hit or missed. */
  async explanation(id: string, signal?: AbortSignal): Promise<BuildExplanation> {
    return await this.#connection.json(BuildExplanation, { path: this.#readPath(buildPath(id, '/explain')), signal });
  }

  /** What the image of a build was made of. @throws KilnError NOT_FOUND where it made none */
  provenance(id: string, signal?: AbortSignal): Promise<Provenance> {
    return this.#connection.json(Provenance, { path: this.#readPath(buildPath(id, '/provenance')), signal });
  }

  /** What takes room in the project. */
  cacheUsage(signal?: AbortSignal): Promise<CacheUsage> {
    return this.#connection.json(CacheUsage, {
      path: this.#readPath('/v1/cache/usage'),
      signal,
      answerMs: CACHE_ANSWER_MS,
    });
  }

  /** How large it was day by day, and what was taken out of it. */
  cacheGrowth({ days }: CacheGrowthQuery, signal?: AbortSignal): Promise<CacheGrowth> {
    const query = new URLSearchParams({ days: String(days) });
    return this.#connection.json(CacheGrowth, { path: this.#readPath('/v1/cache/growth', query), signal });
  }

  /** Takes out of the project's cache what the request says; as much as one answer holds. */
  pruneCache(request: CachePruneRequest, signal?: AbortSignal): Promise<CachePruned> {
    return this.#connection.json(CachePruned, {
      method: 'POST',
      path: '/v1/cache/prune',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal,
      answerMs: CACHE_ANSWER_MS,
    });
  }

  /** Takes what a build made, or what one of its steps had, out of the cache, and tells who used it. */
  disownCache(request: CacheDisownRequest, signal?: AbortSignal): Promise<CacheDisowned> {
    return this.#connection.json(CacheDisowned, {
      method: 'POST',
      path: '/v1/cache/disown',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal,
      answerMs: CACHE_ANSWER_MS,
    });
  }

  /** Asks the farm to end the build; one that has ended stays as it is. */
  async cancel(id: string, signal?: AbortSignal): Promise<void> {
    const { body } = await this.#connection.call({ method: 'POST', path: buildPath(id, '/cancel'), signal });
    for await (const _ of body);
  }

  /** Submits a build that has ended once more; what went with its end is given anew. */
  retry(id: string, request: RetryRequestInput, options: RetryOptions): Promise<BuildView> {
    const once = (): Promise<BuildView> =>
      this.#connection.json(BuildView, {
        method: 'POST',
        path: buildPath(id, '/retry'),
        headers: { 'content-type': 'application/json', 'idempotency-key': options.idempotencyKey },
        body: JSON.stringify(request),
        signal: options.signal,
        answerMs: SUBMIT_ANSWER_MS,
      });
    return this.#connection.retrying(options.signal, once);
  }

  /** Lines of the log that have a text; as many as one answer holds. */
  searchLog(id: string, { text, step, after, limit }: LogSearchQuery, signal?: AbortSignal): Promise<LogSearch> {
    const query = new URLSearchParams({ text, after: String(after), limit: String(limit) });
    if (step !== undefined) query.set('step', step);
    const path = this.#readPath(buildPath(id, '/logs/search'), query);
    return this.#connection.json(LogSearch, { path, signal, answerMs: SEARCH_ANSWER_MS });
  }

  /** What happens in the build, in order, none twice, to its final event; reconnects where the stream breaks. */
  events(id: string, options: EventOptions = {}): AsyncGenerator<NumberedEvent> {
    return followEvents(this.#connection, this.#readPath(buildPath(id, '/logs')), options);
  }
}
