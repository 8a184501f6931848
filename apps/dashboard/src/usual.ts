import type { BuildView, StoredRequest } from '#protocol';

/** With fewer nothing is usual. */
const LEAST = 3;

/** Builds that are of the same thing: of one Dockerfile and target, for one image whatever its tag. */
export const kindOf = ({ tags, target, dockerfile }: StoredRequest): string =>
  JSON.stringify([tags[0]?.replace(/:[^/:]*$/, ''), target, dockerfile]);

/** What builds of one kind took that succeeded, in the middle: half of them took longer. */
export function usualMs(builds: readonly BuildView[]): ReadonlyMap<string, number> {
  const took = new Map<string, number[]>();
  for (const { request, startedAt, finishedAt, state } of builds) {
    if (state !== 'succeeded' || request.call !== 'build' || startedAt === null || finishedAt === null) continue;
    const kind = kindOf(request);
    const times = took.get(kind) ?? [];
    took.set(kind, times);
    times.push(Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)));
  }
  return new Map(
    [...took].filter(([, times]) => times.length >= LEAST).map(([kind, times]) => [kind, middleOf(times)]),
  );
}

function middleOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
