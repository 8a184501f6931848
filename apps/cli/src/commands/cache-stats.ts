import { type CacheStatistics, CacheStatisticsQuery, type StatisticsBy, type StatisticsGroup } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { count, shortDuration, size } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { table } from './builds.ts';
import { parseQuery } from './parse-query.ts';

export interface CacheStatsFlags {
  readonly by: string;
  readonly days: string;
  readonly scope?: string;
  readonly project?: string;
  readonly limit: string;
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln cache stats`: what the cache was good for, and why steps missed. */
export async function cacheStats({ by, days, scope, project, limit, json, data }: CacheStatsFlags): Promise<void> {
  const query = parseQuery(CacheStatisticsQuery, { by, days, scope, limit }, 'cache stats');
  await using client = await connect(readConfig(process.env, data));
  const statistics = await client.ofProject(project).cacheStatistics(query);
  process.stdout.write(json === true ? `${JSON.stringify(statistics, null, 2)}\n` : statisticsText(statistics));
}

const NAME_LENGTH = 60;
const heads: Readonly<Record<StatisticsBy, string>> = {
  day: 'DAY (UTC)',
  scope: 'SCOPE',
  branch: 'BRANCH',
  dockerfile: 'DOCKERFILE',
  step: 'STEP',
  cause: 'WHY STEPS RAN',
  project: 'PROJECT',
};

/** Causes as `kiln explain` tells them, in a few words. */
const causes: Readonly<Record<string, string>> = {
  instruction: 'the instruction changed',
  variable: 'an argument or variable changed',
  setting: 'a setting changed',
  image: 'the base image moved',
  commit: 'the git ref moved',
  files: 'files changed',
  order: 'the order of steps changed',
  step: 'a step below gave another result',
  neverBuilt: 'never built before',
  evicted: 'evicted',
  lost: 'a blob was lost',
  disowned: 'disowned',
  scope: 'only in a scope that was not readable',
  noCache: '--no-cache',
  expired: 'its time to live was over',
  unfinished: 'an earlier run came to no result',
  otherRun: 'its record stands on another run',
  unknown: 'unknown',
};

/** For people. */
export function statisticsText({
  project,
  since,
  builds,
  cachedBuilds,
  total,
  by,
  groups,
  more,
}: CacheStatistics): string {
  const { hits, joined, misses, followed, savedMs, savedBytes, spentMs } = total;
  const steps = hits + joined + misses;
  const summary = [
    ['builds', count(builds), builds === 0 ? '' : `${count(cachedBuilds)} of them from the cache alone`],
    [
      'steps',
      count(steps),
      steps === 0 ? '' : `${rate(total)} from the cache: ${count(hits)} hit, ${count(joined)} joined`,
    ],
    ['ran', count(misses), misses === 0 ? '' : `${count(followed)} only for what they stand on`],
    ['saved', shortDuration(savedMs), size(savedBytes)],
    ['spent', shortDuration(spentMs), ''],
  ];
  const list = groups.length === 0 ? '' : `\n${table([head(by), ...groups.map((group) => row(by, group))])}`;
  const whose = by === 'project' ? 'projects that the token reads' : `the project ${cleanLine(project, false)}`;
  return `Cache of ${whose} since ${since}\n${table(summary)}${list}${more ? '…\n' : ''}`;
}

function head(by: StatisticsBy): readonly string[] {
  return by === 'cause' ? [heads.cause, 'STEPS', 'SPENT'] : [heads[by], 'STEPS', 'CACHED', 'RAN', 'SAVED', 'SPENT'];
}

function row(by: StatisticsBy, group: StatisticsGroup): readonly string[] {
  const { hits, joined, misses, savedMs, spentMs } = group;
  const name = cleanLine(by === 'cause' ? (causes[group.name] ?? group.name) : group.name, false);
  const short = name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name;
  if (by === 'cause') return [short, count(misses), shortDuration(spentMs)];
  return [
    short,
    count(hits + joined + misses),
    rate(group),
    count(misses),
    shortDuration(savedMs),
    shortDuration(spentMs),
  ];
}

function rate({ hits, joined, misses }: Pick<StatisticsGroup, 'hits' | 'joined' | 'misses'>): string {
  const steps = hits + joined + misses;
  return steps === 0 ? '–' : `${Math.floor((100 * (hits + joined)) / steps)}%`;
}
