/** Calls `make` at the first use and hands out the same promise ever after, failures included. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
