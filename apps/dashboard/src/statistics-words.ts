import type { StatisticsBy } from '#protocol';

/** As the statistics name them, and as people do. */
const causes: Readonly<Record<string, string>> = {
  instruction: 'the instruction changed',
  variable: 'a variable changed',
  setting: 'a setting changed',
  image: 'the base image changed',
  commit: 'a git repository moved',
  files: 'files changed',
  order: 'steps were moved',
  step: 'a step before it gave another result',
  neverBuilt: 'never built before',
  gone: 'gone from the cache',
  evicted: 'evicted from the cache',
  scope: 'built in a scope that may not be read',
  noCache: '--no-cache',
  expired: 'its time to live ended',
  unfinished: 'begun elsewhere and never finished',
  otherRun: 'a step before it ran elsewhere',
  unknown: 'not known',
};

/** What people call a group. */
export const wordOf = (by: StatisticsBy, name: string): string => {
  if (by === 'branch' && name === '') return 'no branch';
  return by === 'cause' ? (causes[name] ?? name) : name;
};

/** The builds behind a figure. */
export function buildsOf(by: StatisticsBy, name: string, since: string): Readonly<Record<string, string>> {
  if (by === 'day') return { since: name, until: dayAfter(name) };
  const key = by === 'dockerfile' ? 'text' : by;
  return { [key]: name, since };
}

export const dayAfter = (day: string): string => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);

/** Every day from the first to the last. */
export function daysBetween(since: string, until: string): readonly string[] {
  const days: string[] = [];
  for (let day = since; day <= until; day = dayAfter(day)) days.push(day);
  return days;
}
