import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline, Readable, type Transform } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Bytes, isKilnError, KilnError, messageOf } from '#std';

type Unpack = (packed: Bytes, signal: AbortSignal) => Bytes;

interface Format {
  readonly name: string;
  readonly magic: Buffer;
  readonly unpack: Unpack;
}

const formats: readonly Format[] = [
  { name: 'gzip', magic: Buffer.of(0x1f, 0x8b), unpack: within(createGunzip) },
  { name: 'zstd', magic: Buffer.of(0x28, 0xb5, 0x2f, 0xfd), unpack: within(createZstdDecompress) },
  { name: 'bzip2', magic: Buffer.from('BZh'), unpack: outside(['bzip2', '-dc']) },
  {
    name: 'xz',
    magic: Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00),
    unpack: outside(['xz', '-dc', '--memlimit-decompress=512MiB']),
  },
];
const MAGIC_BYTES = 6;
/** What reads foreign bytes has no rights of the builder's. */
const UNPRIVILEGED = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
/** Nor does it know what the builder's environment holds. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const COMPLAINT_CHARACTERS = 500;
/** of setpriv and shells: no such command */
const NO_COMMAND = 127;

/**
 * The bytes behind gzip, zstd, bzip2 or xz, told by their first bytes; anything else as it is.
 * @throws KilnError BLOB_CORRUPT when the compressed stream is damaged or cut off; UNAVAILABLE when this node lacks the
 * program for it; what the source throws
 */
export async function* decompress(source: Bytes, signal: AbortSignal): Bytes {
  const watched = watch(source);
  const { head, all } = await peek(watched.bytes);
  const format = formats.find(({ magic }) => head.subarray(0, magic.length).equals(magic));
  try {
    yield* format === undefined ? all : format.unpack(all, signal);
  } catch (cause) {
    signal.throwIfAborted();
    watched.rethrow();
    if (format === undefined || isKilnError(cause)) throw cause;
    throw new KilnError('BLOB_CORRUPT', `its ${format.name} stream is damaged or cut off: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** A stream whose own failure can be told from that of its reader: what goes wrong with a source is no damage of it. */
export function watch(source: Bytes): { readonly bytes: Bytes; readonly rethrow: () => void } {
  let failure: { readonly thrown: unknown } | undefined;
  const bytes = async function* (): Bytes {
    try {
      yield* source;
    } catch (thrown) {
      failure = { thrown };
      throw thrown;
    }
  };
  return {
    bytes: bytes(),
    rethrow: () => {
      if (failure !== undefined) throw failure.thrown;
    },
  };
}

/** The first bytes of a stream, and all of it. */
async function peek(source: Bytes): Promise<{ readonly head: Buffer; readonly all: Bytes }> {
  const stream = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    head = Buffer.concat([head, next.value]);
    if (head.length >= MAGIC_BYTES) break;
  }
  const all = async function* (): Bytes {
    try {
      if (head.length > 0) yield head;
      for (let next = await stream.next(); next.done !== true; next = await stream.next()) yield next.value;
    } finally {
      await stream.return?.();
    }
  };
  return { head, all: all() };
}

/** Unpacks in Node's own thread pool. */
function within(create: () => Transform): Unpack {
  return async function* (packed): Bytes {
    const plain = pipeline(Readable.from(packed, { objectMode: false }), create(), () => {});
    for await (const chunk of plain as AsyncIterable<Uint8Array>) yield chunk;
  };
}

/** Unpacks by a program of the node. */
function outside(command: readonly [string, ...string[]]): Unpack {
  return async function* (packed, signal): Bytes {
    const child = spawn('setpriv', [...UNPRIVILEGED, ...command], { env: ENVIRONMENT, signal, killSignal: 'SIGKILL' });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, COMPLAINT_CHARACTERS);
    });
    const ended = once(child, 'close');
    ended.catch(() => {});
    const fed = pipe(Readable.from(packed, { objectMode: false }), child.stdin);
    fed.catch(() => {});
    try {
      yield* child.stdout as AsyncIterable<Uint8Array>;
      const [code] = (await ended) as readonly unknown[];
      if (code === NO_COMMAND) {
        throw new KilnError('UNAVAILABLE', `this builder has no ${command[0]}`, {
          hint: `install ${command[0]} on the builders, or pack the archive with gzip or zstd`,
        });
      }
      if (code !== 0) throw new Error(complaint.trim() || `${command[0]} ended with ${String(code)}`);
      await fed;
    } finally {
      child.kill('SIGKILL');
      await ended.catch(() => {});
    }
  };
}
