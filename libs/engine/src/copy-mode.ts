import type { TreeEntry } from '#content';
import { applySymbolicMode, type CopyOp, parseSymbolicMode } from '#graph';
import { KilnError } from '#std';

/** What --chmod says. */
export interface CopyMode {
  /** of what is copied */
  of(entry: Pick<TreeEntry, 'mode' | 'type'>): number;
  /** of directories that are made on the way: bits count for them too, changes need something that they change */
  readonly made: number;
}

const MADE = 0o755;

export function copyMode(chmod: CopyOp['chmod']): CopyMode {
  if (chmod === undefined) return { of: ({ mode }) => mode, made: MADE };
  if (typeof chmod === 'number') return { of: () => chmod, made: chmod & 0o777 };
  const changes = parseSymbolicMode(chmod);
  if (changes === undefined) throw new KilnError('INTERNAL', `${chmod} is no mode`);
  return { of: ({ mode, type }) => applySymbolicMode(changes, mode, type === 'dir'), made: MADE };
}
