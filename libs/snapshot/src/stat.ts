import type { Stats } from 'node:fs';
import type { TreeEntry } from '#content';

const S_IFMT = 0o170000;
const types: Readonly<Record<number, TreeEntry['type']>> = {
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o020000: 'char',
  0o060000: 'block',
  0o010000: 'fifo',
};

/** Undefined for sockets, which no layer can hold. */
export const typeOf = (stat: Stats): TreeEntry['type'] | undefined => types[stat.mode & S_IFMT];

/** Layers keep whole seconds. */
export const seconds = (stat: Stats): number => Math.floor(stat.mtimeMs / 1000);

export const sameOwnerAndMode = (a: Stats, b: Stats): boolean =>
  a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;

export interface Device {
  readonly major: number;
  readonly minor: number;
}

/** glibc's gnu_dev_major and gnu_dev_minor. */
export function deviceOf(rdev: number): Device {
  const device = BigInt(rdev);
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/** glibc's gnu_dev_makedev, of numbers as devices have them: 12 bits major, 20 bits minor. */
export function rdevOf({ major, minor }: Device): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}
