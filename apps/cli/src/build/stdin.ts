import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Bytes, collect } from '#std';
import { usageError } from '../usage.ts';

/** As the farm limits the text of a Dockerfile. */
const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024;
/** A tar's magic lies at 257. */
const HEAD_BYTES = 512;

export interface Input {
  readonly stream: Bytes;
  readonly isTerminal: boolean;
}

/** A Dockerfile's text from standard input. */
export async function readDockerfile({ stream, isTerminal }: Input): Promise<string> {
  if (isTerminal)
    throw usageError(
      'a Dockerfile was to come from standard input, which is a terminal',
      'pipe it: kiln build -f - . < Dockerfile',
    );
  return (await collect(stream, MAX_DOCKERFILE_BYTES)).toString();
}

/** An archive in a temporary file, so that it can be sent again. */
export interface SpooledArchive extends AsyncDisposable {
  readonly sizeBytes: number;
  open(): Bytes;
}

export type ContextInput =
  | { readonly kind: 'dockerfile'; readonly text: string }
  | { readonly kind: 'archive'; readonly archive: SpooledArchive };

/** What `kiln build -` was given: a tar (plain, gzip or zstd), or else a Dockerfile, as docker tells them apart. */
export async function readContextInput({ stream, isTerminal }: Input): Promise<ContextInput> {
  if (isTerminal)
    throw usageError(
      'a context was to come from standard input, which is a terminal',
      'pipe a tar or a Dockerfile into it, or name a directory',
    );
  const chunks = stream[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < HEAD_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const all = async function* (): Bytes {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  };
  const compression = compressionOf(head);
  if (compression === 'bzip2' || compression === 'xz') {
    throw usageError(
      `a context compressed with ${compression} is not supported`,
      'use gzip or zstd, or send it uncompressed',
    );
  }
  if (compression !== undefined || isTar(head)) return { kind: 'archive', archive: await spool(all()) };
  return { kind: 'dockerfile', text: (await collect(all(), MAX_DOCKERFILE_BYTES)).toString() };
}

const magics = { gzip: '1f8b', zstd: '28b52ffd', bzip2: '425a68', xz: 'fd377a585a00' } as const;

function compressionOf(head: Buffer): keyof typeof magics | undefined {
  const hex = head.subarray(0, 8).toString('hex');
  return (['gzip', 'zstd', 'bzip2', 'xz'] as const).find((name) => hex.startsWith(magics[name]));
}

function isTar(head: Buffer): boolean {
  return head.subarray(257, 262).toString('latin1') === 'ustar';
}

async function spool(source: Bytes): Promise<SpooledArchive> {
  const folder = await mkdtemp(join(tmpdir(), 'kiln-context-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const file = join(folder, 'context');
  try {
    const sink = createWriteStream(file, { mode: 0o600 });
    await pipeline(Readable.from(source, { objectMode: false }), sink);
    return { sizeBytes: sink.bytesWritten, open: () => createReadStream(file), [Symbol.asyncDispose]: remove };
  } catch (thrown) {
    await remove();
    throw thrown;
  }
}
