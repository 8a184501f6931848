import { HttpException } from '@nestjs/common';
import type { Problem } from '#protocol';
import { type ErrorCode, errorTraits, isKilnError, KilnError, nearest } from '#std';
import { z } from 'zod';

/** What else answers: the framework, by status. */
const byStatus: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  413: 'LIMIT_EXCEEDED',
  429: 'RATE_LIMITED',
  503: 'UNAVAILABLE',
};

const FrameworkError = z.looseObject({ statusCode: z.int().min(400).max(499), message: z.string() });

function statusOf(thrown: unknown): { readonly status: number; readonly message: string } | undefined {
  if (thrown instanceof HttpException) return { status: thrown.getStatus(), message: thrown.message };
  const parsed = FrameworkError.safeParse(thrown);
  return parsed.success ? { status: parsed.data.statusCode, message: parsed.data.message } : undefined;
}

/** `a.b[0]` */
export function fieldOf(path: readonly (PropertyKey | { readonly key: PropertyKey })[]): string | undefined {
  if (path.length === 0) return undefined;
  const keys = path.map((segment) => (typeof segment === 'object' ? segment.key : segment));
  return keys.map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at > 0 ? '.' : ''}${String(key)}`)).join('');
}

/** Anything thrown, as an error of the table. Of what nobody foresaw, nothing is told but that it happened. */
export function toKilnError(thrown: unknown): KilnError {
  if (isKilnError(thrown)) return thrown;
  if (thrown instanceof z.ZodError) return invalid(thrown.issues);
  const known = statusOf(thrown);
  if (known === undefined || known.status >= 500) return new KilnError('INTERNAL', 'unforeseen', { cause: thrown });
  return new KilnError(byStatus[known.status] ?? 'INVALID_ARGUMENT', known.message, { cause: thrown });
}

export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** of fields that nobody knows */
  readonly keys?: readonly string[] | undefined;
  /** of a choice: what is wrong with each of them */
  readonly errors?: readonly (readonly Issue[])[] | undefined;
}

/** Of a choice, what lacks for the one that comes nearest: it has least to complain of. */
function nearestChoice(issue: Issue): readonly Issue[] {
  const choices = (issue.errors ?? []).map((each) => each.flatMap(nearestChoice));
  const [best] = choices.filter((each) => each.length > 0).toSorted((a, b) => a.length - b.length);
  const { path: at = [] } = issue;
  return best === undefined ? [issue] : best.map((each) => ({ ...each, path: [...at, ...(each.path ?? [])] }));
}

/** Of longer names nobody asks what they were to be. */
const MAX_NAME = 64;

/**
 * What a schema says, with the first field that is wrong.
 * @param known names that there are where the schema begins: of one that nobody knows, the nearest is named
 */
export function invalid(told: readonly Issue[], known: readonly string[] = []): KilnError {
  const issues = told.flatMap(nearestChoice);
  const shown = issues.slice(0, 5).map(({ path = [], message }) => [fieldOf(path), message].filter(Boolean).join(': '));
  const { path = [], keys: [unknown] = [] } = issues[0] ?? {};
  return new KilnError('INVALID_ARGUMENT', shown.join('; '), {
    field: fieldOf(unknown === undefined ? path : [...path, unknown]),
    hint: unknown === undefined || path.length > 0 ? undefined : meant(unknown, known),
  });
}

function meant(unknown: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || unknown.length > MAX_NAME) return undefined;
  const best = nearest(unknown, known);
  return best === undefined ? `there are ${[...known].sort().join(', ')}` : `did you mean ${best}?`;
}

export const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 printable characters')
  .optional();

/** @throws KilnError INVALID_ARGUMENT naming the header */
export function parseHeader<T>(name: string, schema: z.ZodType<T>, value: string | undefined): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = parsed.error.issues.map((issue) => issue.message).join('; ');
  throw new KilnError('INVALID_ARGUMENT', `the header ${name}: ${why}`, { field: name });
}

/** https://www.rfc-editor.org/rfc/rfc9457 */
export function problemOf(error: KilnError, status: number): Problem {
  // What went wrong inside is for the log: it may name what the caller must not see.
  const inside = error.code === 'INTERNAL';
  return {
    type: `urn:kiln:problem:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status,
    detail: inside ? 'the farm made a mistake; its log says more' : error.message,
    code: error.code,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.hint === undefined || inside ? {} : { hint: error.hint }),
  };
}

/** The status of the framework where it says more than the table (404 for a route, 405, 415). */
export function httpStatus(thrown: unknown, error: KilnError): number {
  return isKilnError(thrown)
    ? errorTraits[error.code].http
    : (statusOf(thrown)?.status ?? errorTraits[error.code].http);
}
