/** Those nearer to the root first, so that none hides another; of one depth in the order given. */
export function byDepth<T extends { readonly target: string }>(mounts: readonly T[]): readonly T[] {
  const depth = ({ target }: T): number => target.split('/').filter((name) => name !== '').length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}
