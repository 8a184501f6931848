import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { encodePath } from '#content';
import { type Bytes, KilnError } from '#std';
import { type Header, type Pack, pack } from 'tar-stream';
import { RAW_LINK, RAW_PATH } from './tar-header.ts';
import { type ContextFile, unreadable, walkContext, type WalkOptions } from './walk-context.ts';

export interface PackedContext {
  /** an uncompressed tar, sorted, with owner 0:0; read once */
  readonly tar: Bytes;
  readonly files: number;
  /** of the files' contents */
  readonly sizeBytes: number;
}

/** Read at once; larger files are streamed. */
const SMALL_BYTES = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** Beyond it tar-stream's header wraps around. */
const MAX_HEADER_MTIME = 0x7fff_ffff;
/** Never falsy: tar-stream takes a mode of 0 for none, and keeps the lower bits only. */
const MODE_PRESENT = 0o100000;

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const types = { file: 'file', hardlink: 'link', dir: 'directory', symlink: 'symlink', fifo: 'fifo' } as const;

function headerOf(file: ContextFile): Partial<Header> & Pick<Header, 'name'> {
  const pax: Record<string, string> = {};
  if (!file.path.isWellFormed()) pax[RAW_PATH] = encodePath(file.path).toString('base64');
  if (!file.link.isWellFormed()) pax[RAW_LINK] = encodePath(file.link).toString('base64');
  const plainTime = file.mtime >= 0 && file.mtime <= MAX_HEADER_MTIME;
  if (!plainTime) pax['mtime'] = String(file.mtime);
  return {
    name: file.path,
    type: types[file.type],
    mode: file.mode | MODE_PRESENT,
    uid: 0,
    gid: 0,
    size: file.sizeBytes,
    mtime: new Date(plainTime ? file.mtime * 1000 : 0),
    ...(file.link === '' ? {} : { linkname: file.link }),
    ...(Object.keys(pax).length === 0 ? {} : { pax }),
  };
}

function changed(path: string): KilnError {
  return new KilnError('CONTEXT_INVALID', `${JSON.stringify(path)} of the context changed while it was read`, {
    hint: 'build again when nothing writes to the context, or leave the file out with .dockerignore',
  });
}

function readSmall(file: ContextFile): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(file.diskPath, READ_FLAGS);
  } catch (thrown) {
    throw unreadable(file.path, thrown);
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw changed(file.path);
    // One byte more shows that it grew.
    const buffer = Buffer.allocUnsafe(file.sizeBytes + 1);
    let size = 0;
    for (let read = -1; read !== 0 && size < buffer.length; size += read) {
      read = readSync(descriptor, buffer, size, buffer.length - size, null);
    }
    if (size !== file.sizeBytes) throw changed(file.path);
    return buffer.subarray(0, size);
  } finally {
    closeSync(descriptor);
  }
}

async function* readLarge(file: ContextFile): Bytes {
  const handle = await open(file.diskPath, READ_FLAGS).catch((thrown: unknown) => {
    throw unreadable(file.path, thrown);
  });
  try {
    let size = 0;
    for (;;) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      size += bytesRead;
      if (size > file.sizeBytes) throw changed(file.path);
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    if (size !== file.sizeBytes) throw changed(file.path);
  } finally {
    await handle.close();
  }
}

type Sink = ReturnType<Pack['entry']>;

/** Resolves when the sink takes more, or is gone. */
function drained(sink: Sink): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
    if (sink.destroyed) done();
  });
}

async function pour(source: Bytes, sink: Sink): Promise<void> {
  for await (const chunk of source) {
    if (sink.destroying) return;
    if (!sink.write(chunk)) await drained(sink);
  }
  sink.end(null);
}

/** Adds one file; resolves when the reader of the tar has taken what is before it. */
async function addFile(tar: Pack, file: ContextFile): Promise<void> {
  const header = headerOf(file);
  const large = file.sizeBytes > SMALL_BYTES;
  const bytes = file.type === 'file' && !large ? readSmall(file) : undefined;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const done = (failure?: Error | null): void => (failure ? reject(failure) : resolve());
  const sink = bytes === undefined ? tar.entry(header, done) : tar.entry(header, bytes, done);
  // Told by `done`, and awaited below; without a listener it would end the process.
  sink.on('error', () => {});
  promise.catch(() => {});
  if (large) await pour(readLarge(file), sink);
  await promise;
}

/** The archive as its reader takes it; a reader that leaves ends the packing. */
async function* archive(files: readonly ContextFile[], signal: AbortSignal | undefined): Bytes {
  const tar = pack();
  const packing = (async () => {
    for (const file of files) {
      if (tar.destroyed) return;
      signal?.throwIfAborted();
      await addFile(tar, file);
    }
    tar.finalize();
  })();
  packing.catch((thrown: unknown) => tar.destroy(thrown instanceof Error ? thrown : new Error(String(thrown))));
  try {
    for await (const chunk of tar) yield chunk as Uint8Array;
    await packing;
  } finally {
    tar.destroy(null);
    await packing.catch(() => {});
  }
}

/**
 * These files of a directory as a tar, whatever else is there.
 * @throws KilnError CONTEXT_INVALID naming a file that cannot be read, is none, or changed, at the read
 */
export async function* packFiles(directory: string, paths: readonly string[], signal?: AbortSignal): Bytes {
  const files = paths.map((path): ContextFile => {
    const diskPath = Buffer.concat([Buffer.from(`${directory}/`), encodePath(path)]);
    try {
      const stats = lstatSync(diskPath);
      if (!stats.isFile()) throw new Error('it is no file');
      const { mode, mtimeMs, size: sizeBytes } = stats;
      return {
        path,
        diskPath,
        type: 'file',
        mode: mode & 0o7777,
        mtime: Math.floor(mtimeMs / 1000),
        sizeBytes,
        link: '',
      };
    } catch (thrown) {
      throw unreadable(path, thrown);
    }
  });
  yield* archive(files, signal);
}

/**
 * A context as a tar: the same bytes for the same files. The walk is done when this resolves; contents are read as the
 * tar is.
 * @throws KilnError as {@link walkContext}; the tar's stream CONTEXT_INVALID naming a file that cannot be read or changed
 */
export async function packContext(directory: string, options: WalkOptions = {}): Promise<PackedContext> {
  const files: ContextFile[] = [];
  let sizeBytes = 0;
  for await (const file of walkContext(directory, options)) {
    files.push(file);
    sizeBytes += file.sizeBytes;
  }
  return { tar: archive(files, options.signal), files: files.length, sizeBytes };
}
