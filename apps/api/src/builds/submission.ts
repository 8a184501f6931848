import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import type { IngestedContext } from '#context';
import { BuildRequest, BuildSubmission, ContextReferences } from '#protocol';
import { type Bytes, isKilnError, KilnError } from '#std';
import type { z } from 'zod';
import { invalid } from '../http/problem.ts';
import { refuseUnstorable } from '../http/check-requests.ts';
import { type QueryFlags, requestOf } from './query-request.ts';

/** Beside the Dockerfile (at most 4 MiB) there are arguments and labels. */
const REQUEST_BYTES = 16 * 1024 * 1024;
const FIELDS = 8;

/** What a submission's URL says: a request in JSON, or flags. */
export type SubmitQuery = z.infer<typeof QueryFlags> & { readonly request?: string | undefined };

/** An archive of a build, not read yet. */
export interface SubmittedContext {
  /** `context` for the main one, else its name in the request's `contexts` */
  readonly name: string;
  /** as it is sent, where the client has said so */
  readonly sizeBytes?: number | undefined;
  readonly archive: Bytes;
  /** see `ContextLimits` */
  readonly mayLackEnd?: boolean;
}

/** A build as it comes in: what to do, and its archives. */
export interface Submission {
  readonly request: BuildRequest;
  /** contexts that were sent before, by name */
  readonly references: ContextReferences;
  /** Each has to be read before the next. @throws KilnError INVALID_ARGUMENT when one is missing or nobody asked for it */
  readonly contexts: AsyncIterable<SubmittedContext>;
  /** what becomes of it once its main context is here */
  readonly revise?: (came: Pick<Submission, 'request'> & { readonly context: IngestedContext }) => Promise<typeof came>;
}

export const MAIN_CONTEXT = 'context';
/** Before the names of others. */
const NAMED = 'context:';

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
 * what to do in the URL; contexts that were sent before are named by their digests in the part `contexts`, or in a
 * body of JSON. Nothing of the context is held in memory.
 * @throws KilnError INVALID_ARGUMENT naming the part that is wrong, LIMIT_EXCEEDED
 */
export async function readSubmission(request: FastifyRequest, query: SubmitQuery): Promise<Submission> {
  const { request: json, ...flags } = query;
  const [said] = Object.keys(flags);
  const whole = archiveTypes.some((known) => known === mediaType(request));
  if (said !== undefined && (json !== undefined || !whole)) {
    throw new KilnError('INVALID_ARGUMENT', `${said} stands in the URL, and the request says what to do already`, {
      field: said,
      hint: 'say all in the request, or send the tar as the body and all in the URL',
    });
  }
  if (request.isMultipart()) return await readMultipart(request);
  if (mediaType(request) === 'application/json') return readJson(request.body);
  if (!whole) {
    throw new KilnError('INVALID_ARGUMENT', 'a build is sent as multipart/form-data', {
      field: 'Content-Type',
      hint: 'send the parts request (JSON) and context (a tar), in this order; or the tar as the body, as application/x-tar',
    });
  }
  const parsed = json === undefined ? checked(BuildRequest, requestOf(flags)) : parseRequest(json);
  const only = async function* (): AsyncGenerator<SubmittedContext> {
    yield { name: MAIN_CONTEXT, sizeBytes: lengthOf(request), archive: uploaded(request.raw) };
    checkAllCame(parsed, new Set([MAIN_CONTEXT]));
  };
  return { request: parsed, references: {}, contexts: only() };
}

const mediaType = ({ headers }: FastifyRequest): string | undefined => headers['content-type']?.split(';')[0]?.trim();

/** Of the body; what a client sends in chunks has none. */
function lengthOf({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}

async function readMultipart(request: FastifyRequest): Promise<Submission> {
  const parts = request.parts({
    limits: { fieldSize: REQUEST_BYTES, fields: FIELDS, fileSize: Number.POSITIVE_INFINITY },
    // By its name alone: how a client declares its type is its own affair.
    isPartAFile: (name) => name === MAIN_CONTEXT || name?.startsWith(NAMED) === true,
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
  let second = await next();
  let references: ContextReferences = {};
  if (second?.fieldname === 'contexts' && second.type === 'field') {
    references = parsePart(ContextReferences, second, 'contexts');
    checkReferences(parsed, references);
    second = await next();
  }
  const contexts = async function* (): AsyncGenerator<SubmittedContext> {
    const came = new Set(Object.keys(references));
    for (let part = second; part !== undefined; part = await next()) {
      const { fieldname: field } = part;
      const name = field.startsWith(NAMED) ? field.slice(NAMED.length) : field;
      const wanted = field.startsWith(NAMED) ? comes(parsed, name) : field === MAIN_CONTEXT;
      if (part.type !== 'file' || !wanted || came.has(name)) throw unwanted(field);
      came.add(name);
      yield { name, archive: uploaded(part.file) };
    }
    checkAllCame(parsed, came);
  };
  return { request: parsed, references, contexts: contexts() };
}

/** A request whose contexts, if any, the farm has or finds elsewhere. */
function readJson(body: unknown): Submission {
  const parsed = BuildSubmission.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error.issues);
  const { request, contexts: references } = parsed.data;
  checkReferences(request, references);
  checkAllCame(request, new Set(Object.keys(references)));
  const none = async function* (): AsyncGenerator<SubmittedContext> {};
  return { request, references, contexts: none() };
}

function checkReferences(request: BuildRequest, references: ContextReferences): void {
  const odd = Object.keys(references).find((name) => name !== MAIN_CONTEXT && !comes(request, name));
  if (odd !== undefined) throw unwanted(`contexts.${odd}`);
}

/** Whether a named context comes with the request. */
function comes({ contexts }: BuildRequest, name: string): boolean {
  const type = Object.hasOwn(contexts, name) ? contexts[name]?.type : undefined;
  return name !== MAIN_CONTEXT && (type === 'local' || type === 'ociLayout');
}

function checkAllCame(request: BuildRequest, came: ReadonlySet<string>): void {
  const main = request.contexts[MAIN_CONTEXT]?.type;
  const elsewhere = main === 'git' || main === 'http';
  if (!elsewhere && !came.has(MAIN_CONTEXT)) throw misplaced(MAIN_CONTEXT, undefined);
  const missing = Object.keys(request.contexts).find((name) => comes(request, name) && !came.has(name));
  if (missing !== undefined) throw misplaced(`${NAMED}${missing}`, undefined);
}

function unwanted(field: string): KilnError {
  return new KilnError('INVALID_ARGUMENT', `there is a part that the request does not ask for: ${field}`, {
    field,
    hint: 'send context, then context:NAME for each local context that the request names',
  });
}

function misplaced(expected: string, found: string | undefined): KilnError {
  const what = found === undefined ? 'is missing' : `is expected before ${JSON.stringify(found)}`;
  return new KilnError('INVALID_ARGUMENT', `the part ${expected} ${what}`, {
    field: expected,
    hint: 'send the parts request (JSON) and context (a tar), in this order',
  });
}

const parseRequest = (part: MultipartValue | string): BuildRequest => parsePart(BuildRequest, part, 'request');

function parsePart<S extends z.ZodType>(schema: S, part: MultipartValue | string, field: string): z.output<S> {
  if (typeof part !== 'string' && part.valueTruncated === true) {
    throw new KilnError('LIMIT_EXCEEDED', `the ${field} is longer than ${REQUEST_BYTES} bytes`, { field });
  }
  const value = parseJson(typeof part === 'string' ? part : part.value, field);
  refuseUnstorable(value);
  return checked(schema, value);
}

function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues);
}

/** The multipart parser has read it already where the part says that it is JSON. */
function parseJson(value: unknown, field: string): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `the ${field} is no JSON`, { field, cause });
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
