import type { Command } from 'commander';
import type { AdminFlags } from './admin.ts';

const DATA = ['--data <dir>', 'data directory of the embedded farm (KILN_DATA, ~/.kiln)'] as const;

/** `kiln admin …`, for who runs the farm. */
export function addAdmin(program: Command): void {
  const admin = program.command('admin').description('examine, mend, save and restore a farm, for who runs it');
  const add = (words: string, description: string): Command =>
    admin
      .command(words)
      .description(description)
      .option('--json', 'as JSON')
      .option(...DATA);
  add('doctor', 'look at all that the farm stands on: services, builders, queue, clocks, disks').action(
    async (flags: AdminFlags) => (await import('./admin.ts')).admin(['doctor'], flags),
  );
}
