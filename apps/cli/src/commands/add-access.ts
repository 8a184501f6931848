import { Argument, type Command } from 'commander';
import type { MemberFlags, MemberPutFlags } from './member.ts';
import type { ProjectCreateFlags, ProjectListFlags } from './project.ts';
import type { WebhookCreateFlags, WebhookDeliveriesFlags, WebhookFlags, WebhookUpdateFlags } from './webhook.ts';
import type { TokenCreateFlags, TokenListFlags, TokenRevokeFlags } from './token.ts';
import { DATA, JSON_FLAG, list } from './flags.ts';

/** `kiln token`, `kiln project`, `kiln member` and `kiln webhook`. */
export function addAccess(program: Command): void {
  const token = program.command('token').description('make, list and revoke tokens');
  token
    .command('create')
    .description('make a token, and show it once')
    .argument('<name>', 'what it is for')
    .addOption(list('--permission <what>', 'build, read or admin; may be repeated (build and read)'))
    .option('--project <name>', 'another project of the team')
    .option('--scope <name>', 'scope that its builds write to; the own token’s when not given')
    .option('--member <name>', 'the member whose own it is to be')
    .option('--expires <time>', 'when it ends, such as 12h or 30d')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string, flags: TokenCreateFlags) => (await import('./token.ts')).tokenCreate(name, flags));
  token
    .command('ls')
    .description('list tokens, the newest first')
    .option('-a, --all', 'also those that have ended, and those of CI systems')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: TokenListFlags) => (await import('./token.ts')).tokenLs(flags));
  token
    .command('revoke')
    .description('end a token at once')
    .argument('<id>', 'id of the token')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: TokenRevokeFlags) => (await import('./token.ts')).tokenRevoke(id, flags));
  const project = program.command('project').description('make and list projects of the team');
  project
    .command('create')
    .description('make a project, with its first scope')
    .argument('<name>', 'name of the project')
    .option('--scope <name>', 'first scope, of its default branch', 'main')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string, flags: ProjectCreateFlags) =>
      (await import('./project.ts')).projectCreate(name, flags),
    );
  project
    .command('badge')
    .description('show the project’s hit ratio to everybody, as a picture for a page, or to nobody')
    .addArgument(new Argument('<state>', 'on or off').choices(['on', 'off']))
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (state: 'on' | 'off', flags: ProjectListFlags) =>
      (await import('./project.ts')).projectBadge(state, flags),
    );
  project
    .command('ls')
    .description('list projects')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: ProjectListFlags) => (await import('./project.ts')).projectLs(flags));
  addMember(program);
  addWebhook(program);
}

function addMember(program: Command): void {
  const member = program.command('member').description('who is in the team, with which role, and how they sign in');
  member
    .command('create')
    .description('take somebody into the team')
    .argument('<name>', 'what the member is called here')
    .option('--role <role>', 'viewer, developer, maintainer or owner (developer)')
    .option('--email <address>', 'by which the member signs in at the farm’s issuer')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string, flags: MemberPutFlags) => (await import('./member.ts')).memberCreate(name, flags));
  member
    .command('ls')
    .description('list the members')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: MemberFlags) => (await import('./member.ts')).memberLs(flags));
  member
    .command('update')
    .description('change a member’s role, or how he signs in')
    .argument('<name>', 'name of the member')
    .option('--role <role>', 'viewer, developer, maintainer or owner')
    .option('--email <address>', 'signs in so from now on; what he was signed in to, and made there, ends')
    .option('--no-email', 'signs in with tokens alone')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string, flags: MemberPutFlags) => (await import('./member.ts')).memberUpdate(name, flags));
  member
    .command('rm')
    .description('take a member out of the team; his tokens end')
    .argument('<name>', 'name of the member')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string, flags: MemberFlags) => (await import('./member.ts')).memberRm(name, flags));
}

function addWebhook(program: Command): void {
  const webhook = program.command('webhook').description('tell others of builds of the project');
  webhook
    .command('create')
    .description('tell a receiver of builds; its secret is shown once')
    .argument('<url>', 'where it is told')
    .addOption(list('--event <what>', 'build.started, .succeeded, .failed or .cancelled; may be repeated (all)'))
    .option('--name <name>', 'what it is for')
    .option('--secret-stdin', 'read the secret from standard input: whsec_ and the base64 of 24 to 64 bytes')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (url: string, flags: WebhookCreateFlags) => (await import('./webhook.ts')).webhookCreate(url, flags));
  webhook
    .command('ls')
    .description('list the receivers')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: WebhookFlags) => (await import('./webhook.ts')).webhookLs(flags));
  webhook
    .command('update')
    .description('change what is said of a receiver')
    .argument('<id>', 'id of the webhook')
    .option('--url <url>', 'where it is told')
    .addOption(list('--event <what>', 'of these alone: build.started, .succeeded, .failed or .cancelled'))
    .option('--name <name>', 'what it is for')
    .option('--enable', 'tell it again, after a person or its own answer (410) ended that')
    .option('--disable', 'tell it no more for now')
    .option('--secret-stdin', 'read another secret from standard input; the one before is of no use at once')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: WebhookUpdateFlags) => (await import('./webhook.ts')).webhookUpdate(id, flags));
  webhook
    .command('rm')
    .description('tell a receiver no more, and forget what it was told')
    .argument('<id>', 'id of the webhook')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: WebhookFlags) => (await import('./webhook.ts')).webhookRm(id, flags));
  webhook
    .command('deliveries')
    .description('what a receiver was told, the newest first, and what came of it')
    .argument('<id>', 'id of the webhook')
    .option('-n, --limit <number>', 'how many, 100 at most', '20')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: WebhookDeliveriesFlags) =>
      (await import('./webhook.ts')).webhookDeliveries(id, flags),
    );
  webhook
    .command('redeliver')
    .description('send a delivery anew')
    .argument('<id>', 'id of the webhook')
    .argument('<delivery>', 'id of the delivery')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, delivery: string, flags: WebhookFlags) =>
      (await import('./webhook.ts')).webhookRedeliver(id, delivery, flags),
    );
  webhook
    .command('ping')
    .description('send a ping')
    .argument('<id>', 'id of the webhook')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: WebhookFlags) => (await import('./webhook.ts')).webhookPing(id, flags));
}
