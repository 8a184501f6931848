import type { Bytes } from '#std';

/**
 * A stream whose first bytes are there, so that what is missing is known before an answer is begun; its last ones are held
 * back until the store has verified all, so that a damaged blob is an answer cut short, not a whole one. The source is
 * freed when the stream ends or is given up, read or not: a generator that was never started would not free it.
 */
export async function begun(source: Bytes): Promise<Bytes> {
  const iterator = source[Symbol.asyncIterator]();
  let held = await iterator.next();
  const stream: AsyncIterator<Uint8Array> = {
    async next() {
      if (held.done === true) return { done: true, value: undefined };
      const { value } = held;
      held = await iterator.next();
      return { done: false, value };
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => stream };
}
