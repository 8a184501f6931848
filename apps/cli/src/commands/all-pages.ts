const PAGE = 100;

/** Everything of a list that comes in pages, or its first ones. */
export async function allPages<T>(
  read: (page: { readonly limit: number; readonly cursor: string | undefined }) => Promise<{
    readonly items: readonly T[];
    readonly next: string | null;
  }>,
  most = Number.POSITIVE_INFINITY,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await read({ limit: Math.min(PAGE, most - found.length), cursor });
    found.push(...items);
    if (next === null || found.length >= most) return found;
    cursor = next;
  }
}
