import { decodePath } from '#content';
import { KilnError } from '#std';
import { z } from 'zod';

const MAX_NAME_BYTES = 255;
/** Of PAX: those that an archive gives all its files are copied for each. */
const MAX_RECORDS = 1_000;

const pax = z.looseObject({
  path: z.string().optional(),
  linkpath: z.string().optional(),
  mtime: z.string().optional(),
});

const header = z.object({
  name: z.string(),
  type: z.string().nullable(),
  mode: z.int(),
  size: z.int().nonnegative(),
  mtime: z.date(),
  linkname: z.string().nullable(),
  pax: pax.nullable(),
});

/** One entry of an archive, its names decoded. */
export interface ArchiveEntry {
  /** clean; `` for the root */
  readonly path: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'hardlink';
  readonly mode: number;
  readonly mtime: number;
  readonly sizeBytes: number;
  /** symlink: target as it is; hardlink: clean path of the other name */
  readonly link: string;
}

export function invalidEntry(name: string, why: string, hint?: string): KilnError {
  return new KilnError('CONTEXT_INVALID', `context entry ${JSON.stringify(name)} ${why}`, { hint });
}

const types: Readonly<Record<string, ArchiveEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'dir',
  symlink: 'symlink',
  link: 'hardlink',
  fifo: 'fifo',
};

function entryType(name: string, type: string | null): ArchiveEntry['type'] {
  const known = types[type ?? ''];
  if (known !== undefined) return known;
  if (type === 'character-device' || type === 'block-device') {
    throw invalidEntry(name, 'is a device', 'a context holds files, directories, links and named pipes');
  }
  throw invalidEntry(name, 'is of a kind that is not known (a sparse file?)', 'pack the context with plain tar');
}

/** A name of an archive as a path within the context. Nothing is repaired: what points elsewhere is refused. */
function contextPath(name: string, maxPathBytes: number): string {
  if (name === '') throw invalidEntry(name, 'has no name');
  if (name.startsWith('/')) throw invalidEntry(name, 'has an absolute name', 'pack the context with relative names');
  if (name.includes('\0')) throw invalidEntry(name, 'has a NUL in its name');
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw invalidEntry(name, 'leads out of the context (..)');
  if (components.some((component) => Buffer.byteLength(component) > MAX_NAME_BYTES)) {
    throw invalidEntry(name, `has a name of more than ${MAX_NAME_BYTES} bytes`);
  }
  const path = components.join('/');
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new KilnError(
      'LIMIT_EXCEEDED',
      `context entry ${JSON.stringify(name)} has a path of more than ${maxPathBytes} bytes`,
    );
  }
  return path;
}

/** tar-stream gives the bytes of a header one by one (latin1), but has decoded PAX records as UTF-8. */
function decodeName(name: string, fromPax: string | undefined): string {
  if (fromPax === undefined) return decodePath(Buffer.from(name, 'latin1'));
  if (!fromPax.includes('\ufffd')) return fromPax;
  throw invalidEntry(
    fromPax,
    'has a name that is not UTF-8 in a PAX record',
    'use the GNU format of tar for such names',
  );
}

/**
 * @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED naming the entry
 */
export function readHeader(fields: unknown, maxPathBytes: number): ArchiveEntry {
  const parsed = header.safeParse(fields);
  if (!parsed.success) {
    throw new KilnError('CONTEXT_INVALID', 'the context holds a tar header that makes no sense', {
      cause: parsed.error,
    });
  }
  const { name, linkname, mode, mtime, size, pax: records } = parsed.data;
  const text = decodeName(name, records?.path);
  if (records !== null && Object.keys(records).length > MAX_RECORDS)
    throw invalidEntry(text, `has more than ${MAX_RECORDS} attributes`);
  const type = entryType(text, parsed.data.type);
  if (records !== null && Object.keys(records).some((key) => key.startsWith('GNU.sparse.'))) {
    throw invalidEntry(text, 'is a sparse file', 'pack the context without --sparse');
  }
  const path = contextPath(text, maxPathBytes);
  const target = decodeName(linkname ?? '', records?.linkpath);
  if (type === 'symlink' && (target === '' || target.includes('\0'))) throw invalidEntry(text, 'is a link to nothing');
  if (Buffer.byteLength(target) > maxPathBytes) {
    const name = JSON.stringify(text);
    throw new KilnError('LIMIT_EXCEEDED', `context entry ${name} is a link to more than ${maxPathBytes} bytes`);
  }
  const seconds = Math.floor(records?.mtime === undefined ? mtime.getTime() / 1000 : Number(records.mtime));
  return {
    path,
    type,
    mode: mode & 0o7777,
    mtime: Number.isSafeInteger(seconds) ? seconds : 0,
    sizeBytes: type === 'file' ? size : 0,
    link: type === 'hardlink' ? contextPath(target, maxPathBytes) : target,
  };
}
