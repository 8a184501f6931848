import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { type Bytes, KilnError } from '#std';
import { isAbsent, s3Error } from './s3-error.ts';

/** What is asked for after a break: the rest of the same object. */
export interface Rest {
  readonly Range?: string;
  readonly IfMatch?: string;
}

/** Breaks in a row without a byte between them. */
const BREAKS_MAX = 4;

/**
 * The body of an object, whole: a connection that breaks is followed by another one that asks for the rest.
 * @throws KilnError UPSTREAM_UNAVAILABLE; what `open` throws when the object is not there
 */
export async function* continued(
  open: (rest: Rest) => Promise<GetObjectCommandOutput>,
  signal: AbortSignal | undefined,
): Bytes {
  let received = 0;
  let total: number | undefined;
  let tag: string | undefined;
  for (let breaks = 0; ; breaks++) {
    const before = received;
    try {
      const rest =
        received === 0 ? {} : { Range: `bytes=${received}-`, ...(tag === undefined ? {} : { IfMatch: tag }) };
      const answer = await open(rest);
      tag ??= answer.ETag;
      total ??= answer.ContentLength;
      if (received > 0) checkRest(answer, received);
      for await (const chunk of bodyOf(answer, signal)) {
        received += chunk.byteLength;
        yield chunk;
      }
      if (total === undefined || received === total) return;
      if (received > total) throw new KilnError('UPSTREAM_UNAVAILABLE', 'the object store sent more than it announced');
    } catch (thrown) {
      signal?.throwIfAborted();
      if (isAbsent(thrown)) throw thrown;
      if (breaks >= BREAKS_MAX) throw s3Error(thrown);
    }
    if (breaks >= BREAKS_MAX) {
      throw new KilnError(
        'UPSTREAM_UNAVAILABLE',
        `the object store sent ${received} of ${total} bytes again and again`,
      );
    }
    if (received > before) breaks = 0;
  }
}

/** A server that does not know ranges sends everything anew. */
function checkRest({ ContentRange }: GetObjectCommandOutput, offset: number): void {
  if (ContentRange?.startsWith(`bytes ${offset}-`) === true) return;
  throw new KilnError('UPSTREAM_UNAVAILABLE', 'the object store did not continue where a transfer broke', {
    hint: 'it has to answer range requests',
  });
}

async function* bodyOf({ Body }: GetObjectCommandOutput, signal: AbortSignal | undefined): Bytes {
  if (Body === undefined) return;
  if (!(Body instanceof Readable)) throw new KilnError('INTERNAL', 'the object store’s answer is no stream');
  const stop = (): void => void Body.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of Body) {
      signal?.throwIfAborted();
      if (!(chunk instanceof Uint8Array)) throw new KilnError('INTERNAL', 'the object store’s answer is no bytes');
      yield chunk;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    // A reader that leaves early leaves no connection behind.
    Body.destroy();
  }
}
