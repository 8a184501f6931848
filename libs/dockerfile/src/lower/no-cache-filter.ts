import type { Findings } from '../lint/findings.ts';
import type { Dockerfile } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import type { LowerOptions } from './lower-options.ts';

/** Tells of stages that --no-cache-filter names and that there are not: their steps would come from the cache after all. */
export function checkNoCacheFilter(file: Dockerfile, { noCacheFilter }: LowerOptions, to: Findings): void {
  const names = file.stages.flatMap(({ from }) => from.name ?? []);
  for (const wanted of noCacheFilter) {
    if (names.includes(wanted.toLowerCase())) continue;
    to.note(`--no-cache-filter: there is no stage ${JSON.stringify(wanted)}${didYouMean(wanted, names, false)}`);
  }
}
