import { createHash } from 'node:crypto';
import { type Bytes, KilnError } from '#std';

export interface ExpectedBytes {
  /** `sha256:…` */
  readonly digest: string;
  readonly sizeBytes: number;
}

/**
 * The stream as it is, ended by an error when it is not what was promised.
 * @throws KilnError BLOB_CORRUPT
 */
export async function* verifyBytes(source: Bytes, expected: ExpectedBytes): Bytes {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const corrupt = (what: string): KilnError =>
    new KilnError('BLOB_CORRUPT', `the output arrived damaged: ${what}`, { hint: 'build again to fetch it again' });
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > expected.sizeBytes) throw corrupt(`more than ${expected.sizeBytes} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  if (sizeBytes < expected.sizeBytes) throw corrupt(`${sizeBytes} of ${expected.sizeBytes} bytes`);
  if (`sha256:${hash.digest('hex')}` !== expected.digest) throw corrupt(`it is not ${expected.digest}`);
}
