import { type DearMiss, type DearMisses, DearMissesQuery, partsOf } from '#protocol';
import { readConfig } from '../config.ts';
import { hintLines } from '../explain/explanation-text.ts';
import { connect } from '../farm/connect.ts';
import { count, shortDuration } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import type { CacheStatsFlags } from './cache-stats.ts';
import { parseQuery } from './parse-query.ts';

export type CacheMissesFlags = Omit<CacheStatsFlags, 'by'>;

/** `kiln cache misses`: which steps that ran cost most, why, and what to do about it. */
export async function cacheMisses({ days, scope, project, limit, json, data }: CacheMissesFlags): Promise<void> {
  const query = parseQuery(DearMissesQuery, { days, scope, limit }, 'cache misses');
  await using client = await connect(readConfig(process.env, data));
  const misses = await client.ofProject(project).dearMisses(query);
  process.stdout.write(json === true ? `${JSON.stringify(misses, null, 2)}\n` : dearMissesText(misses));
}

const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

/** For people. */
export function dearMissesText({ project, since, misses }: DearMisses): string {
  const head = `What steps that ran cost in the project ${clean(project)} since ${since}`;
  if (misses.length === 0) return `${head}: nothing.\n`;
  return `${[head, ...misses.flatMap((miss) => ['', ...missLines(miss)])].join('\n')}\n`;
}

function missLines({ step, dockerfile, misses, spentMs, last }: DearMiss): readonly string[] {
  const times = misses === 1 ? 'once' : `${count(misses)} times`;
  const line = ` ${shortDuration(spentMs)}  ${clean(step)}  (${clean(dockerfile)}, ${times})`;
  if (last === null) return [line];
  const below = last.isBelow ? `${clean(partsOf(last.because.name).text)} above it: ` : '';
  return [line, `       ${below}${clean(last.why)}  (build ${last.buildId})`, ...last.hints.flatMap(hintLines)];
}
