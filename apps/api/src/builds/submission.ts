import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { BuildRequest } from '#protocol';
import { type Bytes, isKilnError, KilnError } from '#std';
import { invalid } from '../http/problem.ts';

/** Beside the Dockerfile (at most 4 MiB) there are arguments and labels. */
const REQUEST_BYTES = 16 * 1024 * 1024;
const FIELDS = 8;

/** A build as it comes in: what to do, and the context's archive, not read yet. */
export interface Submission {
  readonly request: BuildRequest;
  readonly context: Bytes;
  /** After the context was read: that nothing follows it. @throws KilnError INVALID_ARGUMENT */
  finish(): Promise<void>;
}

/** Archives that may be the whole body. */
export const archiveTypes = [
  'application/x-tar',
  'application/gzip',
  'application/x-gzip',
  'application/zstd',
  'application/octet-stream',
] as const;

/**
 * Reads a submission: `multipart/form-data` with `request` (JSON) and then `context` (a tar), or the archive as the body and
 * the request as a query parameter. Nothing of the context is held in memory.
 * @throws KilnError INVALID_ARGUMENT naming the part that is wrong, LIMIT_EXCEEDED
 */
export async function readSubmission(request: FastifyRequest, query: string | undefined): Promise<Submission> {
  if (request.isMultipart()) return await readMultipart(request);
  const type = request.headers['content-type']?.split(';')[0]?.trim();
  if (!archiveTypes.some((known) => known === type)) {
    throw new KilnError('INVALID_ARGUMENT', 'a build is sent as multipart/form-data', {
      field: 'Content-Type',
      hint: 'send the parts request (JSON) and context (a tar), in this order',
    });
  }
  return { request: parseRequest(query ?? '{}'), context: uploaded(request.raw), finish: async () => {} };
}

async function readMultipart(request: FastifyRequest): Promise<Submission> {
  const parts = request.parts({
    limits: { fieldSize: REQUEST_BYTES, fields: FIELDS, fileSize: Number.POSITIVE_INFINITY },
    // By its name alone: how a client declares its type is its own affair.
    isPartAFile: (name) => name === 'context',
  });
  const next = async (): Promise<MultipartFile | MultipartValue | undefined> => {
    try {
      return (await parts.next()).value as MultipartFile | MultipartValue | undefined;
    } catch (cause) {
      throw new KilnError('INVALID_ARGUMENT', 'the body is no whole multipart/form-data', { cause });
    }
  };
  const first = await next();
  if (first?.fieldname !== 'request' || first.type !== 'field') throw misplaced('request', first?.fieldname);
  const parsed = parseRequest(first);
  const second = await next();
  if (second?.fieldname !== 'context' || second.type !== 'file') throw misplaced('context', second?.fieldname);
  return {
    request: parsed,
    context: uploaded(second.file),
    async finish() {
      const more = await next();
      if (more === undefined) return;
      throw new KilnError('INVALID_ARGUMENT', `there is a part after the context: ${more.fieldname}`, {
        field: more.fieldname,
      });
    },
  };
}

function misplaced(expected: string, found: string | undefined): KilnError {
  const what = found === undefined ? 'is missing' : `is expected before ${JSON.stringify(found)}`;
  return new KilnError('INVALID_ARGUMENT', `the part ${expected} ${what}`, {
    field: expected,
    hint: 'send the parts request (JSON) and context (a tar), in this order',
  });
}

function parseRequest(part: MultipartValue | string): BuildRequest {
  if (typeof part !== 'string' && part.valueTruncated === true) {
    throw new KilnError('LIMIT_EXCEEDED', `the request is longer than ${REQUEST_BYTES} bytes`, { field: 'request' });
  }
  const parsed = BuildRequest.safeParse(parseJson(typeof part === 'string' ? part : part.value));
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues);
}

/** The multipart parser has read it already where the part says that it is JSON. */
function parseJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', 'the request is no JSON', { field: 'request', cause });
  }
}

/** The bytes of an upload; one that breaks off is the context's fault. */
async function* uploaded(source: Readable): Bytes {
  try {
    for await (const chunk of source) yield chunk as Uint8Array;
  } catch (cause) {
    if (isKilnError(cause)) throw cause;
    throw new KilnError('CONTEXT_INVALID', 'the upload of the context was cut off', {
      field: 'context',
      hint: 'send it again',
      cause,
    });
  }
}
