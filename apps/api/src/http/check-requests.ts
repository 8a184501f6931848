import type { FastifyInstance } from 'fastify';
import { KilnError } from '#std';
import { fieldOf } from './problem.ts';

type Step = string | number;

/**
 * Text that Postgres does not hold (a NUL, half of a surrogate pair) is refused at the door, wherever it stands.
 * @throws KilnError INVALID_ARGUMENT naming the field
 */
export function refuseUnstorable(value: unknown): void {
  // As deep as JSON may be: no call for each level.
  const left: { readonly value: unknown; readonly path: readonly Step[] }[] = [{ value, path: [] }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value: each, path } = next;
    if (typeof each === 'string') check(each, path);
    if (typeof each !== 'object' || each === null) continue;
    for (const [key, inner] of Object.entries(each)) {
      const step = Array.isArray(each) ? Number(key) : key;
      check(key, path);
      if (typeof inner === 'string' || typeof inner === 'object') left.push({ value: inner, path: near(path, step) });
    }
  }
}

const MAX_STEPS = 16;
/** Of what lies deeper, the field above is named. */
const near = (path: readonly Step[], step: Step): readonly Step[] => (path.length < MAX_STEPS ? [...path, step] : path);

function check(text: string, path: readonly Step[]): void {
  if (!text.includes('\0') && text.isWellFormed()) return;
  throw new KilnError('INVALID_ARGUMENT', 'there is text with a NUL character or half of a surrogate pair', {
    field: fieldOf(path),
    hint: 'send text as UTF-8',
  });
}

/** The host, and what the framework has read of a request: its path, its query, its JSON. */
export function checkRequests(server: FastifyInstance): void {
  server.addHook('onRequest', async ({ raw: { headers, httpVersion } }) => {
    if (headers.host !== undefined || httpVersion === '1.0') return;
    throw new KilnError('INVALID_ARGUMENT', 'there is no Host', { field: 'Host' });
  });
  server.addHook('preValidation', async ({ params, query, body }) => {
    for (const part of [params, query, body]) refuseUnstorable(part);
  });
}
