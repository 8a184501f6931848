import { Readable } from 'node:stream';
import type { Bytes } from '#std';

/** Large enough that few turns of the loop are spent on it, small enough to hold back a quick disk. */
const WINDOW_BYTES = 256 * 1024;

/**
 * The body of a submission: the request as JSON, then the context as a tar, as it is read. FormData would want the
 * context's length beforehand.
 */
export function multipartBody(request: string, context: Bytes, boundary: string): Readable {
  const chunks = async function* (): Bytes {
    const request_ = part(boundary, 'form-data; name="request"', 'application/json');
    yield Buffer.from(`${request_}${request}\r\n`);
    yield Buffer.from(part(boundary, 'form-data; name="context"; filename="context.tar"', 'application/x-tar'));
    yield* context;
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  };
  return Readable.from(chunks(), { objectMode: false, highWaterMark: WINDOW_BYTES });
}

function part(boundary: string, disposition: string, type: string): string {
  return `--${boundary}\r\ncontent-disposition: ${disposition}\r\ncontent-type: ${type}\r\n\r\n`;
}
