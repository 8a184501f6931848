/** What of a result tells how much the farm would miss it. */
export interface Worth {
  /** what it took to make */
  readonly costMs: number;
  /** builds that found it */
  readonly uses: number;
  /** since it was last made or found */
  readonly idleMs: number;
  /** its share of all that it needs: what several results need is shared among them */
  readonly bytes: number;
}

const DAY_MS = 86_400_000;
/** A record takes about this where no blob is its own. */
const LEAST_BYTES = 1024;

/**
 * Milliseconds that keeping a byte is likely to save: what goes first is cheap to make again, seldom used and large (greedy
 * dual size frequency, aged by the days since the last use).
 */
export function valueOf({ costMs, uses, idleMs, bytes }: Worth): number {
  const chance = (1 + uses) / (1 + Math.max(0, idleMs) / DAY_MS);
  return (Math.max(1, costMs) * chance) / Math.max(LEAST_BYTES, bytes);
}

/** The same over columns or parameters of these names, for a database that orders more than can be held here. */
export const valueSql = ({ costMs, uses, idleMs, bytes }: Readonly<Record<keyof Worth, string>>): string =>
  `greatest(1, ${costMs}) * ((1 + ${uses}) / (1 + greatest(0, ${idleMs}) / ${DAY_MS}::double precision)) / greatest(${LEAST_BYTES}, ${bytes})`;

/** The least valuable, until what they take is enough. Those of one value: the larger first, so that fewer go. */
export function leastValuable<T extends Worth>(candidates: readonly T[], enoughBytes: number): readonly T[] {
  const ordered = candidates.toSorted((a, b) => valueOf(a) - valueOf(b) || b.bytes - a.bytes);
  const chosen: T[] = [];
  let bytes = 0;
  for (const candidate of ordered) {
    if (bytes >= enoughBytes) break;
    chosen.push(candidate);
    bytes += candidate.bytes;
  }
  return chosen;
}
