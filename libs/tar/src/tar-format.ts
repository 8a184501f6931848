/** One entry's header, as layers need it. Names are bytes: they need not be UTF-8. */
export interface TarHeader {
  /** without slash at the end, also for directories; `./` names the root */
  readonly name: Buffer;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** seconds since the epoch */
  readonly mtime: number;
  readonly link?: Buffer | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** extended attributes by name */
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
}

export type TarType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo';

/** POSIX.1-1988 type flags. */
export const flagOf: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
};

export const BLOCK = 512;

/** Zeros from `size` bytes to the next block. */
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** Prefix of PAX records that hold extended attributes (star's, which all image tools read). */
export const XATTR_PREFIX = 'SCHILY.xattr.';

/** Sum of a header block's bytes, its own field taken as blanks. */
export function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}
