import type { NumberedEvent } from '#protocol';

/** What concerns one vertex, to its end or the build's; everything where none is named. */
export async function* ofStep(
  events: AsyncIterable<NumberedEvent>,
  vertex: string | undefined,
): AsyncGenerator<NumberedEvent> {
  for await (const numbered of events) {
    const { event } = numbered;
    if (vertex !== undefined && event.type !== 'planned' && !('vertex' in event && event.vertex === vertex)) continue;
    yield numbered;
    // A step that was given up with its builder is started again: only these are an end.
    if (vertex !== undefined && (event.type === 'vertexDone' || event.type === 'vertexFailed')) return;
  }
}
