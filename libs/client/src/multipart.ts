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

/** Another part of it. */
export interface JsonPart {
  readonly name: string;
  readonly json: string;
}

/**
 * The body of a submission: what is JSON, then each context as a tar, as it is read. FormData would want the contexts'
 * lengths beforehand.
 */
export function multipartBody(
  fields: readonly JsonPart[],
  contexts: readonly ContextPart[],
  boundary: string,
): Readable {
  const chunks = async function* (): Bytes {
    let first = true;
    const head = (disposition: string, type: string): Buffer => {
      const text = `${first ? '' : '\r\n'}${part(boundary, disposition, type)}`;
      first = false;
      return Buffer.from(text);
    };
    for (const { name, json } of fields) {
      yield head(`form-data; name="${name}"`, 'application/json');
      yield Buffer.from(json);
    }
    for (const { field, tar } of contexts) {
      yield head(`form-data; name="${field}"; filename="context.tar"`, 'application/x-tar');
      yield* tar;
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  };
  return Readable.from(chunks(), { objectMode: false, highWaterMark: WINDOW_BYTES });
}

function part(boundary: string, disposition: string, type: string): string {
  return `--${boundary}\r\ncontent-disposition: ${disposition}\r\ncontent-type: ${type}\r\n\r\n`;
}
