import type { StoredLayer } from '#cache';
import type { HistoryEntry, ResolvedImage } from '#graph';
import type { Layer } from '#oci';

type MadeLayer = Layer & Pick<StoredLayer, 'createdAtMs'>;

/** The time of the result, not of this build: a fully cached build gives the same image again. */
export function createdAt(createdAtMs: number | undefined, base: ResolvedImage | undefined): string {
  return createdAtMs === undefined
    ? (base?.config.created ?? new Date(0).toISOString())
    : new Date(createdAtMs).toISOString();
}

/** When each line of the history was: a layer's own time; what makes none has that of the layer before it, or the first. */
export function stepTimes(
  history: readonly HistoryEntry[],
  own: readonly MadeLayer[],
  created: string,
): readonly string[] {
  const made = own.map(({ createdAtMs }) =>
    createdAtMs === undefined ? created : new Date(createdAtMs).toISOString(),
  );
  let at = -1;
  return history.map(({ emptyLayer }) => {
    if (!emptyLayer) at++;
    return made[Math.max(at, 0)] ?? created;
  });
}

/** SOURCE_DATE_EPOCH is the latest that anything may be. */
export function clampTo(epochSeconds: number | undefined): (time: string) => string {
  if (epochSeconds === undefined) return (time) => time;
  return (time) =>
    new Date(time).getTime() > epochSeconds * 1000 ? new Date(epochSeconds * 1000).toISOString() : time;
}
