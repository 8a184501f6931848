import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Bytes, single } from '#std';
import { pack, type Pack } from 'tar-stream';

export interface ArchiveFile {
  readonly name: string;
  /** bytes */
  readonly size: number;
  readonly open: () => Bytes;
}

export interface ArchiveOptions {
  /** each with a slash at its end */
  readonly directories: readonly string[];
  readonly files: readonly ArchiveFile[];
  readonly signal?: AbortSignal | undefined;
}

export const fileOf = (name: string, bytes: Uint8Array): ArchiveFile => ({
  name,
  size: bytes.byteLength,
  open: () => single(bytes),
});

/** A tar of these, without owners and times: the same bytes for the same files. One file at a time is open. */
export async function* writeArchive(options: ArchiveOptions): Bytes {
  const { signal } = options;
  signal?.throwIfAborted();
  const archive = pack();
  let failure: unknown;
  const writing = fill(archive, options).catch((thrown: unknown) => {
    failure ??= thrown;
    archive.destroy(thrown instanceof Error ? thrown : new Error('the archive was given up'));
  });
  try {
    for await (const chunk of archive) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } catch (thrown) {
    signal?.throwIfAborted();
    throw failure ?? thrown;
  } finally {
    archive.destroy();
    await writing;
  }
}

async function fill(archive: Pack, { directories, files, signal }: ArchiveOptions): Promise<void> {
  const epoch = new Date(0);
  for (const name of directories) archive.entry({ name, type: 'directory', mode: 0o755, mtime: epoch });
  for (const { name, size, open } of files) {
    const entry = archive.entry({ name, size, mode: 0o644, mtime: epoch });
    await pipeline(Readable.from(open(), { objectMode: false }), entry, signal === undefined ? {} : { signal });
  }
  archive.finalize();
}
