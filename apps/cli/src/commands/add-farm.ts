import type { Command } from 'commander';
import type { DownFlags, StatusFlags, UpFlags } from './farm.ts';
import { DATA, JSON_FLAG } from './flags.ts';

/** `kiln up`, `down` and `status`: the embedded farm. */
export function addFarm(program: Command): void {
  program
    .command('up')
    .description('start the embedded farm, or change it')
    .option('--builders <n>', 'number of builders')
    .option('--object-store <address>', 'where blobs are kept: s3://bucket/prefix?region=…, or a folder')
    .option(...DATA)
    .action(async (flags: UpFlags) => (await import('./farm.ts')).up(flags));
  program
    .command('down')
    .description('stop the embedded farm')
    .option(...DATA)
    .action(async (flags: DownFlags) => (await import('./farm.ts')).down(flags));
  program
    .command('status')
    .description('show the embedded farm; exit code 3 when none runs')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: StatusFlags) => (await import('./farm.ts')).status(flags));
}
