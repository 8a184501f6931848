import { expect, it } from 'vitest';
import { sortInSlices } from './slice.ts';

const byKey = (a: readonly [number, number], b: readonly [number, number]): number => a[0] - b[0];

it.each([0, 1, 1_024, 1_025, 5_000])('sorts %i items as one sort does', async (count) => {
  const items = Array.from({ length: count }, (_, at): [number, number] => [(at * 7_919) % 1_000, at]);
  expect(await sortInSlices(items, byKey)).toEqual(items.toSorted(byKey));
});

it('lets others at the event loop', async () => {
  let turns = 0;
  const counting = setInterval(() => turns++);
  const slowly = (a: number, b: number): number => {
    for (const end = performance.now() + 0.005; performance.now() < end; );
    return a - b;
  };
  await sortInSlices(
    Array.from({ length: 2_048 }, (_, at) => (at * 7_919) % 2_048),
    slowly,
  );
  clearInterval(counting);
  expect(turns).toBeGreaterThan(2);
});
