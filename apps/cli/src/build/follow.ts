import type { KilnClient } from '#client';
import { type BuildEvent, isFinal } from '#protocol';
import { KilnError, messageOf } from '#std';
import { drained } from '../drained.ts';
import type { Renderer } from '../progress/client-event.ts';
import type { ContextProgress } from './context-progress.ts';
import { onAbort } from './interrupt.ts';

export type FinalEvent = Extract<BuildEvent, { readonly type: 'succeeded' | 'failed' | 'cancelled' }>;

export interface Following {
  readonly client: KilnClient;
  readonly buildId: string;
  readonly renderer: Renderer;
  /** of what is sent meanwhile: told no more once the build has ended */
  readonly progress?: Pick<ContextProgress, 'close'>;
  /** cancels the build */
  readonly interrupted: AbortSignal;
}

/** How long a cancelled build may take to say so. */
const GRACE_MS = 5_000;

const isFinalEvent = (event: BuildEvent): event is FinalEvent => isFinal(event);

/** Shows a build to its end. Undefined when it was interrupted and has not ended in time. */
export async function followBuild(following: Following): Promise<FinalEvent | undefined> {
  const { client, buildId, renderer, progress, interrupted } = following;
  const leaving = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  using _ = onAbort(interrupted, () => {
    timer = setTimeout(() => leaving.abort(), GRACE_MS);
    client.cancel(buildId, leaving.signal).catch((thrown: unknown) => {
      if (!leaving.signal.aborted) renderer.note(`the build could not be cancelled: ${messageOf(thrown)}`);
      leaving.abort();
    });
  });
  try {
    for await (const { event } of client.events(buildId, { signal: leaving.signal })) {
      if (isFinalEvent(event)) progress?.close();
      renderer.show(event);
      await drained(process.stderr);
      await drained(process.stdout);
      if (isFinalEvent(event)) return event;
    }
  } catch (thrown) {
    if (!leaving.signal.aborted) throw thrown;
    return undefined;
  } finally {
    clearTimeout(timer);
  }
  throw new KilnError('INTERNAL', 'the build’s events ended before the build');
}
