const PAGE = 100;

/** Everything of a list that comes in pages. */
export async function allPages<T>(
  read: (page: { readonly limit: number; readonly cursor: string | undefined }) => Promise<{
    readonly items: readonly T[];
    readonly next: string | null;
  }>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await read({ limit: PAGE, cursor });
    found.push(...items);
    if (next === null) return found;
    cursor = next;
  }
}
