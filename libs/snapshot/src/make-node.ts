import type { TreeEntry } from '#content';
import { KilnError } from '#std';
import { kernel } from './libc.ts';
import { rdevOf } from './stat.ts';

const modes = { char: 0o020000, block: 0o060000, fifo: 0o010000 };

/** Makes a device or a pipe as an entry says; owner and mode are for the caller to set. */
export function makeNode(path: string | Buffer, { type, device }: Pick<TreeEntry, 'type' | 'device'>): void {
  if (type === 'fifo') return kernel.mknod(path, modes.fifo, 0);
  if ((type !== 'char' && type !== 'block') || device === undefined) {
    throw new KilnError('INTERNAL', `a ${type} is no device`);
  }
  kernel.mknod(path, modes[type], rdevOf(device));
}
