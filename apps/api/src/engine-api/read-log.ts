import type { EventFeed } from '#storage';
import { coloured, type LogPart } from './classic-logs.ts';

/** What a step wrote, from the log of its build. @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE */
export async function* readLog(
  feed: Pick<EventFeed, 'read'>,
  buildId: string,
  { vertex, firstSeq, lastSeq }: LogPart,
): AsyncGenerator<string> {
  let seen = firstSeq - 1;
  while (seen < lastSeq) {
    const page = await feed.read(buildId, seen);
    for (const { seq, event } of page)
      if (seq <= lastSeq && event.type === 'log' && event.vertex === vertex) yield coloured(event);
    const last = page.at(-1);
    if (last === undefined) return;
    seen = last.seq;
  }
}
