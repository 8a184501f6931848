import { setImmediate as turn } from 'node:timers/promises';
import type { ContextView } from '#protocol';
import type { Bytes } from '#std';

/** Up to here an answer is made and sent at once. */
export const LONG_FROM = 10_000;
/** Digests that are written before others have their turn. */
const SLICE = 2_000;

/** The JSON of a context's view, however much is missing, without holding the event loop. */
export async function* viewJson({ missing, ...known }: ContextView): Bytes {
  yield Buffer.from(`${JSON.stringify(known).slice(0, -1)},"missing":[`);
  for (let at = 0; at < missing.length; at += SLICE) {
    const digests = missing.slice(at, at + SLICE).map((digest) => `"${digest}"`);
    yield Buffer.from(`${at === 0 ? '' : ','}${digests.join(',')}`);
    await turn();
  }
  yield Buffer.from(']}');
}
