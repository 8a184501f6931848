import { Readable } from 'node:stream';
import type { Bytes } from '#std';

/** Large enough that few turns of the loop are spent on it, small enough to hold back a quick disk. */
const WINDOW_BYTES = 256 * 1024;

/** One archive of a submission. */
export interface ContextPart {
  /** `context`, or `context:NAME` for a named one */
  readonly field: string;
  readonly tar: Bytes;
}

/**
 * The body of a submission: the request as JSON, then each context as a tar, as it is read. FormData would want the
 * contexts' lengths beforehand.
 */
export function multipartBody(request: string, contexts: readonly ContextPart[], boundary: string): Readable {
  const chunks = async function* (): Bytes {
    const request_ = part(boundary, 'form-data; name="request"', 'application/json');
    yield Buffer.from(`${request_}${request}\r\n`);
    for (const [index, { field, tar }] of contexts.entries()) {
      const disposition = `form-data; name="${field}"; filename="context.tar"`;
      yield Buffer.from(`${index === 0 ? '' : '\r\n'}${part(boundary, disposition, 'application/x-tar')}`);
      yield* tar;
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  };
  return Readable.from(chunks(), { objectMode: false, highWaterMark: WINDOW_BYTES });
}

function part(boundary: string, disposition: string, type: string): string {
  return `--${boundary}\r\ncontent-disposition: ${disposition}\r\ncontent-type: ${type}\r\n\r\n`;
}
