import { Argument, type Command } from 'commander';
import { type Shell, shells } from '../completion/scripts.ts';
import type { ContextCreateFlags, ContextListFlags, ContextRemoveFlags, ContextUpdateFlags } from './context.ts';
import { DATA, JSON_FLAG } from './flags.ts';
import type { LoginFlags, LogoutFlags, WhoamiFlags } from './login.ts';

/** `kiln login`, `logout`, `whoami` and `context`. */
export function addContexts(program: Command): void {
  program
    .command('login')
    .description('log in to a farm: the token is tried, and kept for the commands after this')
    .argument('[url]', 'URL of the farm; that of the context in use when it is not given')
    .option('--token-stdin', 'read the token from standard input instead of asking for it')
    .option('--oidc', 'exchange the id token of this CI job for a short-lived token')
    .option('--oidc-token-stdin', 'the same with an id token on standard input')
    .option('--project <name>', 'project that an id token is exchanged for (KILN_PROJECT)')
    .option('--audience <text>', 'whom the id token is for (KILN_OIDC_AUDIENCE, the farm’s URL)')
    .option(...JSON_FLAG)
    .action(async (url: string | undefined, flags: LoginFlags) => (await import('./login.ts')).login(url, flags));
  program
    .command('logout')
    .description('forget the token of the context in use')
    .option(...JSON_FLAG)
    .action(async (flags: LogoutFlags) => (await import('./login.ts')).logout(flags));
  program
    .command('whoami')
    .description('show which farm is used, and what the own token may do there')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: WhoamiFlags) => (await import('./login.ts')).whoami(flags));
  program
    .command('completion')
    .description('print what makes a shell complete commands, flags, builds and contexts')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .action(async (shell: Shell) => (await import('./completion.ts')).completion(shell));
  const context = program.command('context').description('keep several farms, and choose between them');
  context
    .command('ls')
    .alias('list')
    .description('list contexts; the one in use has a star')
    .option('-q, --quiet', 'names alone')
    .option(...JSON_FLAG)
    .action(async (flags: ContextListFlags) => (await import('./context.ts')).contextLs(flags));
  context
    .command('show')
    .description('print the name of the context in use')
    .option(...JSON_FLAG)
    .action(async (flags: ContextListFlags) => (await import('./context.ts')).contextShow(flags));
  context
    .command('use')
    .description('use another farm from now on')
    .argument('<context>', 'name of a context; default is the farm of this machine')
    .option(...JSON_FLAG)
    .action(async (name: string, flags: ContextListFlags) => (await import('./context.ts')).contextUse(name, flags));
  context
    .command('create')
    .description('make a context; kiln login makes one too')
    .argument('<name>', 'name of the context')
    .requiredOption('--url <url>', 'URL of the farm')
    .option('--description <text>', 'for people')
    .option(...JSON_FLAG)
    .action(async (name: string, flags: ContextCreateFlags) =>
      (await import('./context.ts')).contextCreate(name, flags),
    );
  context
    .command('update')
    .description('change a context; a token is forgotten when the farm is another')
    .argument('<context>', 'name of the context')
    .option('--url <url>', 'URL of the farm')
    .option('--description <text>', 'for people')
    .option(...JSON_FLAG)
    .action(async (name: string, flags: ContextUpdateFlags) =>
      (await import('./context.ts')).contextUpdate(name, flags),
    );
  context
    .command('rm')
    .alias('remove')
    .description('forget contexts and their tokens')
    .argument('<context...>', 'names of contexts')
    .option('-f, --force', 'do not ask, even for the one in use')
    .option(...JSON_FLAG)
    .action(async (names: string[], flags: ContextRemoveFlags) =>
      (await import('./context.ts')).contextRm(names, flags),
    );
}
