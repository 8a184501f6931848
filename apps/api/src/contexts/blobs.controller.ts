import { Body, Controller, HttpCode, Inject, Param, Post, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ContentStore } from '#content';
import { type Digest, DigestSchema, hexOf } from '#oci';
import { BlobParts, BlobQuery, MAX_PACK_BYTES, MAX_PACK_FILES, MissingBlobs, StoredBlob, StoredBlobs } from '#protocol';
import { type Bytes, isKilnError, KilnError } from '#std';
import type { BlobIndex, Principal } from '#storage';
import { archiveTypes } from '../builds/submission.ts';
import type { ApiConfig } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { clientSignal, drain } from '../http/leaving.ts';
import { Described } from '../openapi/described.ts';
import { BLOBS, CONFIG, CONTENT, SHUTDOWN } from '../tokens.ts';
import { checkRoom, withinRoom } from './sent-quota.ts';
import { TakeContext } from './take-context.ts';

const BlobParams = z.object({ digest: DigestSchema });
const NAME_BYTES = 128;

/** Contents of files, before or while a build is of them. */
@Controller('v1/blobs')
export class BlobsController {
  readonly #take: TakeContext;
  readonly #blobs: BlobIndex;
  readonly #content: ContentStore;
  readonly #config: ApiConfig;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(TakeContext) take: TakeContext,
    @Inject(BLOBS) blobs: BlobIndex,
    @Inject(CONTENT) content: ContentStore,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#take = take;
    this.#blobs = blobs;
    this.#content = content;
    this.#config = config;
    this.#shutdown = shutdown;
  }

  @Described({ summary: 'which of these files the project lacks', answer: MissingBlobs })
  @Post('missing')
  @HttpCode(200)
  async missing(
    @Caller() caller: Principal,
    @Body({ schema: BlobQuery }) { digests }: BlobQuery,
  ): Promise<MissingBlobs> {
    return { missing: [...(await this.#blobs.missing(caller.projectId, digests))] };
  }

  /** A pack: a tar of files that are called by their digests. */
  @Described({
    summary: 'send many files',
    detail: 'A tar of files that are called sha256/ and the 64 digits of their digests.',
    body: Object.fromEntries(archiveTypes.map((type) => [type, null])),
    answer: StoredBlobs,
    errors: ['CONTEXT_INVALID'],
  })
  @Post()
  @HttpCode(200)
  async pack(
    @Caller() caller: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StoredBlobs> {
    try {
      checkType(request);
      const signal = clientSignal(reply, this.#shutdown.signal);
      const limits = { maxFiles: MAX_PACK_FILES, maxBytes: MAX_PACK_BYTES, maxPathBytes: NAME_BYTES };
      const { manifest, digests } = await this.#take.ingest(caller.projectId, request.raw, limits, signal);
      for (const { path, type, digest } of manifest.entries) {
        if (type === 'dir' && path === 'sha256') continue;
        if (type === 'file' && digest !== undefined && path === `sha256/${hexOf(digest)}`) continue;
        throw new KilnError(
          'CONTEXT_INVALID',
          `the pack holds ${JSON.stringify(path)}, which is no blob of that name`,
          {
            hint: 'call each file sha256/ and the 64 digits of its digest',
          },
        );
      }
      const blobs = [...digests].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
      await this.#take.keep(caller.projectId, blobs, signal);
      return { blobs: blobs.length, sizeBytes: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
    } finally {
      drain(request);
    }
  }

  /** One file: its bytes, or as JSON the parts that it is made of. */
  @Described({
    summary: 'send one file',
    body: { 'application/octet-stream': null, 'application/json': BlobParts },
    answer: StoredBlob,
    errors: ['CONTEXT_INVALID', 'BLOB_MISSING'],
  })
  @Put(':digest')
  @HttpCode(200)
  async put(
    @Caller() caller: Principal,
    @Param({ schema: BlobParams }) { digest }: z.infer<typeof BlobParams>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StoredBlob> {
    try {
      const signal = clientSignal(reply, this.#shutdown.signal);
      const isJson = request.headers['content-type']?.split(';')[0]?.trim() === 'application/json';
      if (!isJson) checkType(request);
      const room = await this.#take.roomFor(caller.projectId, digest);
      if (!isJson) checkRoom(room, Number(request.headers['content-length'] ?? 0));
      const bytes = isJson ? await this.#joined(caller, BlobParts.parse(request.body), signal) : request.raw;
      const blob = await this.#store(digest, withinRoom(bytes, room), signal);
      await this.#take.keep(caller.projectId, [blob], signal);
      return blob;
    } finally {
      drain(request);
    }
  }

  async #store(digest: Digest, bytes: Bytes, signal: AbortSignal): Promise<StoredBlob> {
    try {
      return await this.#content.put(this.#limited(bytes), digest, signal);
    } catch (thrown) {
      // Here it is the sender's mistake.
      if (!isKilnError(thrown, 'BLOB_CORRUPT')) throw thrown;
      throw new KilnError('CONTEXT_INVALID', `the bytes are not those of ${digest}`, {
        field: 'digest',
        hint: 'the file changed while it was read: send it again',
        cause: thrown,
      });
    }
  }

  /** @throws KilnError NOT_FOUND for parts that the project has not */
  async #joined(caller: Principal, { parts }: BlobParts, signal: AbortSignal): Promise<Bytes> {
    const [lacking] = await this.#blobs.missing(caller.projectId, parts);
    if (lacking !== undefined)
      throw new KilnError('NOT_FOUND', `there is no part ${lacking}`, { field: 'parts', hint: 'send it first' });
    const content = this.#content;
    return (async function* () {
      for (const part of parts) yield* content.get(part, signal);
    })();
  }

  async *#limited(source: Bytes): Bytes {
    const { KILN_CONTEXT_MAX_BYTES: maxBytes } = this.#config;
    let size = 0;
    for await (const chunk of source) {
      size += chunk.byteLength;
      if (size > maxBytes) throw new KilnError('LIMIT_EXCEEDED', `the file has more than ${maxBytes} bytes`);
      yield chunk;
    }
  }
}

function checkType(request: FastifyRequest): void {
  const type = request.headers['content-type']?.split(';')[0]?.trim();
  if (archiveTypes.some((known) => known === type)) return;
  throw new KilnError('INVALID_ARGUMENT', 'bytes are sent as application/octet-stream, packs as application/x-tar', {
    field: 'Content-Type',
  });
}
