import type { Command } from 'commander';
import type { AdminFlags } from './admin.ts';
import { DATA, JSON_FLAG } from './flags.ts';

interface FsckFlags extends AdminFlags {
  readonly deep?: boolean;
  readonly repair?: boolean;
}

/** `kiln admin …`, for who runs the farm. */
export function addAdmin(program: Command): void {
  const admin = program.command('admin').description('examine, mend, save and restore a farm, for who runs it');
  const add = (words: string, description: string): Command =>
    admin
      .command(words)
      .description(description)
      .option(...JSON_FLAG)
      .option(...DATA);
  add('doctor', 'look at all that the farm stands on: services, builders, queue, clocks, disks').action(
    async (flags: AdminFlags) => (await import('./admin.ts')).admin(['doctor'], flags),
  );
  add('fsck', 'check what the database knows against the bytes in the store, while the farm works')
    .option('--deep', 'read every blob and compare it with its digest')
    .option('--repair', 'mend what is wrong: what is lost is forgotten, and made again when it is asked for')
    .action(async ({ deep = false, repair = false, ...flags }: FsckFlags) =>
      (await import('./admin.ts')).admin(['fsck', ...(deep ? ['--deep'] : []), ...(repair ? ['--repair'] : [])], flags),
    );
  add(
    'backup',
    'copy the farm into a directory, while it works; again into the same one, and only what is new is copied',
  )
    .argument('<directory>', 'a new directory, or that of an earlier backup')
    .action(async (directory: string, flags: AdminFlags) =>
      (await import('./admin.ts')).admin(['backup', '--', directory], flags),
    );
  add('restore', 'bring a backup back into an empty farm; an embedded farm must be down')
    .argument('<directory>', 'of the backup')
    .action(async (directory: string, flags: AdminFlags) =>
      (await import('./admin.ts')).admin(['restore', '--', directory], flags),
    );
}
