import {
  BuildExplanation,
  type BuildFilter,
  BuilderList,
  type BuilderView,
  BuildList,
  type BuildRequestInput,
  BuildView,
  CacheDisowned,
  type CacheDisownRequest,
  CachePruned,
  type CachePruneRequest,
  CacheStatistics,
  type CacheStatisticsQuery,
  CacheUsage,
  CONTEXT_MANIFEST_TYPE,
  type ContextReference,
  ContextView,
  type NumberedEvent,
  type RetryRequestInput,
  StepList,
  type StepView,
} from '#protocol';
import { type ContextManifest, encodeManifest } from '#context';
import { type Bytes, isKilnError } from '#std';
import { AccessClient } from './access-client.ts';
import { BlobUploads } from './blob-uploads.ts';
import { BuildSession, type Lent } from './build-session.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { type EventOptions, followEvents } from './event-stream.ts';
import { compressed } from './file-pack.ts';
import { multipartBody } from './multipart.ts';
import { type ExpectedBytes, verifyBytes } from './verify-output.ts';

export interface NamedArchive {
  /** as in the request's `contexts`; `context` is the main one */
  readonly name: string;
  /** a tar, plain or compressed; called anew for every attempt */
  readonly open: () => Bytes;
}

/** Where the contexts of a build are. One that the farm fetches is in neither. */
export interface SubmittedContexts {
  /** that the farm has taken, by name */
  readonly references?: Readonly<Record<string, ContextReference>> | undefined;
  readonly archives?: readonly NamedArchive[] | undefined;
}

export interface SubmitOptions {
  /** makes a repeated submission the same build */
  readonly idempotencyKey: string;
  readonly signal?: AbortSignal | undefined;
  /** told how many bytes of the archives have been sent, of this attempt */
  readonly onSent?: (bytes: number) => void;
}

/** A context that the farm has taken by its manifest. */
export interface AnnouncedContext extends ContextView {
  /** of the manifest, on the wire */
  readonly sentBytes: number;
}

export type RetryOptions = Pick<SubmitOptions, 'idempotencyKey' | 'signal'>;

export interface ListOptions extends BuildFilter {
  readonly limit?: number | undefined;
  /** `next` of the page before */
  readonly cursor?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LogOptions {
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Of a request that names several. */
export const MAIN_CONTEXT = 'context';
/** A digest for each file of the largest context. */
const MAX_MISSING_BYTES = 256 * 1024 * 1024;
/** The farm takes in and digests a whole context before it answers. */
const SUBMIT_ANSWER_MS = 15 * 60_000;
const LOG_IDLE_MS = 15 * 60_000;
/** What reads the whole index of a project. */
const CACHE_ANSWER_MS = 10 * 60_000;

const buildPath = (id: string, rest = ''): string => `/v1/builds/${encodeURIComponent(id)}${rest}`;

/**
 * A farm's API. Every method throws KilnError: FARM_UNREACHABLE, UNAVAILABLE when the farm is away, else what the farm's
 * problem document says.
 */
export class KilnClient {
  readonly #connection: Connection;
  /** who may do what */
  readonly access: AccessClient;

  constructor(options: ConnectionOptions) {
    this.#connection = new Connection(options);
    this.access = new AccessClient(this.#connection);
  }

  /** Announces a context by its manifest; the answer says which contents the project lacks. */
  async announceContext(manifest: ContextManifest, signal?: AbortSignal): Promise<AnnouncedContext> {
    const body = await compressed(encodeManifest(manifest));
    const view = await this.#connection.retrying(signal, () =>
      this.#connection.json(ContextView, {
        method: 'POST',
        path: '/v1/contexts',
        headers: { 'content-type': CONTEXT_MANIFEST_TYPE },
        body,
        signal,
        answerMs: SUBMIT_ANSWER_MS,
        maxBytes: MAX_MISSING_BYTES,
      }),
    );
    return { ...view, sentBytes: body.byteLength };
  }

  /** @param onWire told of bytes of files on the wire that the farm has taken */
  uploads(onWire: (bytes: number) => void): BlobUploads {
    return new BlobUploads({ connection: this.#connection, onWire });
  }

  /** Submits a build: what to do, and of which contexts. */
  submitBuild(
    request: BuildRequestInput,
    { references = {}, archives = [] }: SubmittedContexts,
    options: SubmitOptions,
  ): Promise<BuildView> {
    const { idempotencyKey, signal } = options;
    const boundary = `kiln-${idempotencyKey}`;
    const fields = [
      { name: 'request', json: JSON.stringify(request) },
      ...(Object.keys(references).length === 0 ? [] : [{ name: 'contexts', json: JSON.stringify(references) }]),
    ];
    const attempt = async (): Promise<BuildView> => {
      const count = counter(options.onSent);
      const parts = archives.map(({ name, open }) => ({
        field: name === MAIN_CONTEXT ? name : `context:${name}`,
        tar: count(open()),
      }));
      const body = multipartBody(fields, parts, boundary);
      try {
        return await this.#connection.json(BuildView, {
          method: 'POST',
          path: '/v1/builds',
          headers: {
            'content-type': `multipart/form-data; boundary=${boundary}`,
            'idempotency-key': idempotencyKey,
          },
          body,
          signal,
          answerMs: SUBMIT_ANSWER_MS,
        });
      } finally {
        body.destroy();
      }
    };
    return this.#connection.retrying(signal, attempt);
  }

  build(id: string, signal?: AbortSignal): Promise<BuildView> {
    return this.#connection.json(BuildView, { path: buildPath(id), signal });
  }

  /** One page, newest first. */
  builds({ limit, cursor, signal, ...filter }: ListOptions = {}): Promise<BuildList> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter))
      for (const each of [value ?? []].flat()) query.append(name, each);
    if (limit !== undefined) query.set('limit', String(limit));
    if (cursor !== undefined) query.set('cursor', cursor);
    const search = query.size === 0 ? '' : `?${query.toString()}`;
    return this.#connection.json(BuildList, { path: `/v1/builds${search}`, signal });
  }

  /** Who builds, and what they do for the project. */
  async builders(signal?: AbortSignal): Promise<readonly BuilderView[]> {
    return (await this.#connection.json(BuilderList, { path: '/v1/builders', signal })).builders;
  }

  cacheStatistics({ days, by, scope, limit }: CacheStatisticsQuery, signal?: AbortSignal): Promise<CacheStatistics> {
    const query = new URLSearchParams({ days: String(days), by, limit: String(limit) });
    if (scope !== undefined) query.set('scope', scope);
    return this.#connection.json(CacheStatistics, { path: `/v1/cache/statistics?${query.toString()}`, signal });
  }

  async steps(id: string, signal?: AbortSignal): Promise<readonly StepView[]> {
    return (await this.#connection.json(StepList, { path: buildPath(id, '/steps'), signal })).steps;
  }

  /** Why each step of a build hit or missed. */
  async explanation(id: string, signal?: AbortSignal): Promise<BuildExplanation> {
    return await this.#connection.json(BuildExplanation, { path: buildPath(id, '/explain'), signal });
  }

  /** What takes room in the project. */
  cacheUsage(signal?: AbortSignal): Promise<CacheUsage> {
    return this.#connection.json(CacheUsage, { path: '/v1/cache/usage', signal, answerMs: CACHE_ANSWER_MS });
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

  /** The log for people, as UTF-8. Ends where the log ends, or with `follow` when the build has. */
  async *logsText(id: string, { follow = false, signal }: LogOptions = {}): Bytes {
    const path = buildPath(id, follow ? '/logs?follow=true' : '/logs');
    const { body } = await this.#connection.call({
      path,
      headers: { accept: 'text/plain' },
      signal,
      idleMs: LOG_IDLE_MS,
    });
    yield* body;
  }

  /** What happens in the build, in order, none twice, to its final event; reconnects where the stream breaks. */
  events(id: string, options: EventOptions = {}): AsyncGenerator<NumberedEvent> {
    return followEvents(this.#connection, buildPath(id, '/logs'), options);
  }

  /**
   * The bytes of output `n` (from 0) of a build that succeeded; `expected` is what its result says of it.
   * @throws KilnError BLOB_CORRUPT at the end of a stream that is not what was promised
   */
  async *output(id: string, n: number, expected: ExpectedBytes, signal?: AbortSignal): Bytes {
    const { body } = await this.#connection.call({
      path: buildPath(id, `/outputs/${n}`),
      headers: { accept: 'application/octet-stream, */*' },
      signal,
    });
    yield* verifyBytes(body, expected);
  }

  /** Answers what a build asks of its client, until it is disposed of. */
  session(id: string, lent: Lent): BuildSession {
    const { clock } = this.#connection;
    return new BuildSession({ ...lent, clock, open: () => this.#connection.socket(buildPath(id, '/session')) });
  }

  /** Breaks what is still open. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Whether a failure means that nobody listens at the farm's address. */
export function isUnreachable(thrown: unknown): boolean {
  return isKilnError(thrown, 'FARM_UNREACHABLE');
}

/** Tells of all bytes that went through any of its streams. */
function counter(onSent: SubmitOptions['onSent']): (source: Bytes) => Bytes {
  let sent = 0;
  return async function* (source) {
    for await (const chunk of source) {
      yield chunk;
      // Reached when the chunk has been taken.
      sent += chunk.byteLength;
      onSent?.(sent);
    }
  };
}
