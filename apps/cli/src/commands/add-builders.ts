import type { Command } from 'commander';
import type { BuilderFlags } from './builder.ts';
import type { BuilderJoinFlags } from './builder-join.ts';
import { DATA, JSON_FLAG } from './flags.ts';

const BUILDER = ['<id>', 'the builder, as kiln builder ls shows it'] as const;

/** `kiln builder …` */
export function addBuilders(program: Command): void {
  const builder = program.command('builder').description('show the builders of the farm, drain them, add others');
  const add = (words: string, description: string): Command =>
    builder
      .command(words)
      .description(description)
      .option(...JSON_FLAG)
      .option(...DATA);
  add('ls', 'list the builders, and what they do for the project').action(async (flags: BuilderFlags) =>
    (await import('./builder.ts')).builderLs(flags),
  );
  add('drain', 'let a builder take no more builds; what it has goes on')
    .argument(...BUILDER)
    .action(async (id: string, flags: BuilderFlags) => (await import('./builder.ts')).builderDrain(id, true, flags));
  add('undrain', 'let a builder take builds again')
    .argument(...BUILDER)
    .action(async (id: string, flags: BuilderFlags) => (await import('./builder.ts')).builderDrain(id, false, flags));
  builder
    .command('join')
    .description('print the command by which another machine becomes a builder of the farm whose environment this is')
    .option('--id <name>', 'its name in the farm; that of the machine without it')
    .option('--dir <path>', 'where it keeps its layers', '/var/lib/kiln')
    .option(
      '--metrics <host:port>',
      'where it tells its figures, to who has the KILN_METRICS_TOKEN of this environment',
    )
    .option('--env', 'print settings, one a line, for a service that reads them from a file')
    .action(async (flags: BuilderJoinFlags) => (await import('./builder-join.ts')).builderJoin(flags));
}
