import type { BigIntStats } from 'node:fs';

/** What tells two versions of a file apart without reading it. No imports: threads load it as it is. */
export interface FileStamp {
  /** device, inode, size, time of the last write: while these are equal, nobody wrote that lets it be seen */
  readonly version: string;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileStamp {
  return { version: `${dev} ${ino} ${size} ${mtimeNs}`, mtimeNs, ctimeNs };
}
