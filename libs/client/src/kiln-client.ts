import {
  type BuildRequestInput,
  BuildView,
  CONTEXT_MANIFEST_TYPE,
  type ContextReference,
  ContextView,
} from '#protocol';
import { type ContextManifest, encodeManifest } from '#context';
import { type Bytes, isKilnError } from '#std';
import { BlobUploads } from './blob-uploads.ts';
import { BuildSession, type Lent } from './build-session.ts';
import { buildPath, BuildsClient } from './builds-client.ts';
import { type RetryOptions, SUBMIT_ANSWER_MS } from './submit-options.ts';
import type { Answer } from './api-connection.ts';
import { Connection, type ConnectionOptions, type Forwarded } from './connection.ts';
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

export interface SubmitOptions extends RetryOptions {
  /** told how many bytes of the archives have been sent, of this attempt */
  readonly onSent?: (bytes: number) => void;
}

/** A context that the farm has taken by its manifest. */
export interface AnnouncedContext extends ContextView {
  /** of the manifest, on the wire */
  readonly sentBytes: number;
}

export interface LogOptions {
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Of a request that names several. */
export const MAIN_CONTEXT = 'context';
/** A digest for each file of the largest context. */
const MAX_MISSING_BYTES = 256 * 1024 * 1024;
const LOG_IDLE_MS = 15 * 60_000;

/**
 * A farm's API. Every method throws KilnError: FARM_UNREACHABLE, UNAVAILABLE when the farm is away, else what the farm's
 * problem document says.
 */
export class KilnClient extends BuildsClient {
  readonly #connection: Connection;

  constructor(options: ConnectionOptions) {
    const connection = new Connection(options);
    super(connection);
    this.#connection = connection;
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

  /** See {@link Connection.forward}. */
  forward(request: Forwarded): Promise<Answer> {
    return this.#connection.forward(request);
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
