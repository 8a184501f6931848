import { type Command, Option } from 'commander';
import type { DisownFlags } from './cache-disown.ts';
import type { CacheMissesFlags } from './cache-misses.ts';
import type { CacheStatsFlags } from './cache-stats.ts';
import type { CacheDuFlags, CachePruneFlags } from './cache.ts';
import { DATA, JSON_FLAG, list } from './flags.ts';

/** `kiln cache …`. */
export function addCache(program: Command): void {
  const cache = program.command('cache').description('show, prune and mend the cache of the project');
  cache
    .command('du')
    .description('show what takes room, by kind and by scope')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: CacheDuFlags) => (await import('./cache.ts')).cacheDu(flags));
  cache
    .command('prune')
    .description('remove what is least worth its room, never what a running build uses')
    .option('--dry-run', 'show what would go, and why')
    .option('--keep-storage <size>', 'until the cache takes no more than this, such as 10gb')
    .option('-a, --all', 'also layers in other forms and fetched files')
    .addOption(list('--filter <until=time>', 'only what was not used for so long: until=24h'))
    .option('-f, --force', 'do not ask')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: CachePruneFlags) => (await import('./cache.ts')).cachePrune(flags));
  cache
    .command('disown')
    .description('take what a build made, or what one of its steps had, out of the cache, and tell who used it')
    .argument('<build>', 'id of the build')
    .option('--step <n>', 'one step alone, and what stands on it: 4 for [4/6], build:4 for [build 4/6]')
    .option('--reason <text>', 'for whoever misses it later')
    .option('--dry-run', 'show what would go, and which builds used it')
    .option('-f, --force', 'do not ask')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: DisownFlags) => (await import('./cache-disown.ts')).cacheDisown(id, flags));
  cache
    .command('stats')
    .description('what the cache was good for, and why steps ran')
    .addOption(
      new Option('--by <what>', 'told apart by')
        .choices(['cause', 'step', 'dockerfile', 'scope', 'branch', 'day', 'project'])
        .default('cause'),
    )
    .option('--days <n>', 'how far back', '7')
    .option('--scope <name>', 'of one scope alone')
    .option('--project <name>', 'of another project of the team')
    .option('-n, --limit <n>', 'how many lines', '20')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: CacheStatsFlags) => (await import('./cache-stats.ts')).cacheStats(flags));
  cache
    .command('misses')
    .description('which steps that ran cost most, why, and what to do about it')
    .option('--days <n>', 'how far back', '7')
    .option('--scope <name>', 'of one scope alone')
    .option('--project <name>', 'of another project of the team')
    .option('-n, --limit <n>', 'how many of them', '10')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: CacheMissesFlags) => (await import('./cache-misses.ts')).cacheMisses(flags));
  cache
    .command('reruns')
    .description('which steps gave other bytes when they ran again on the same inputs')
    .option('--days <n>', 'how far back', '30')
    .option('--scope <name>', 'of one scope alone')
    .option('--project <name>', 'of another project of the team')
    .option('-n, --limit <n>', 'how many of them', '20')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: CacheMissesFlags) => (await import('./cache-reruns.ts')).cacheReruns(flags));
}
