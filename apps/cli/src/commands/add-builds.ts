import { Argument, type Command, Option } from 'commander';
import { type CiService, ciServices } from '../ci/ci-service.ts';
import { ciHelp, explainHelp, summaryHelp } from '../help-text.ts';
import { progressModes } from '../progress/progress-modes.ts';
import { summaryFormats } from '../summary/formats.ts';
import type { BuildsFlags } from './builds.ts';
import type { CancelFlags } from './cancel.ts';
import type { RunBuild } from './ci.ts';
import type { DashboardFlags } from './dashboard.ts';
import type { ExplainFlags } from './explain.ts';
import { DATA, JSON_FLAG, list } from './flags.ts';
import type { LogsFlags } from './logs.ts';
import type { RetryFlags } from './retry.ts';
import type { SummaryFlags } from './summary.ts';

/** What becomes of builds: `kiln builds`, `logs`, `retry`, `explain`, `summary`, `ci`, `cancel` and `dashboard`. */
export function addBuilds(program: Command, runBuild: RunBuild): void {
  program
    .command('dashboard')
    .description('print a link that opens the dashboard, signed in')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: DashboardFlags) => (await import('./dashboard.ts')).dashboard(flags));
  program
    .command('builds')
    .description('list builds, newest first')
    .option('-n, --limit <n>', 'how many', '20')
    .option('--project <name>', 'of another project of the team')
    .addOption(
      list(
        '--filter <key=value>',
        'state=failed, scope=main, image=acme/app, branch=main, commit=1a2b3c4, text=words, since=24h or until=2026-01-31',
      ),
    )
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (flags: BuildsFlags) => (await import('./builds.ts')).builds(flags));
  program
    .command('logs')
    .description('show the log of a build')
    .argument('<build>', 'id of the build')
    .option('-f, --follow', 'go on until the build ends')
    .option('--step <n>', 'one step alone: 4 for [4/6], build:4 for [build 4/6]')
    .option(...DATA)
    .action(async (id: string, flags: LogsFlags) => (await import('./logs.ts')).logs(id, flags));
  program
    .command('retry')
    .description('run a build that has ended once more, with the request and the context that it had')
    .argument('<build>', 'id of the build')
    .addOption(list('--secret <spec>', 'as in kiln build: what the build was given is gone with its end'))
    .addOption(list('--ssh <spec>', 'as in kiln build'))
    .addOption(new Option('--progress <mode>', 'how it is told').choices(progressModes).default('auto'))
    .option('-q, --quiet', 'print nothing but the digest')
    .option('-d, --detach', 'print the new build’s id and leave it to the farm')
    .option(...DATA)
    .action(async (id: string, flags: RetryFlags) => (await import('./retry.ts')).retry(id, flags));
  program
    .command('explain')
    .description('tell why each step of a build hit the cache or missed it')
    .argument('<build>', 'id of the build')
    .option(...JSON_FLAG)
    .option(...DATA)
    .addHelpText('after', explainHelp)
    .action(async (id: string, flags: ExplainFlags) => (await import('./explain.ts')).explain(id, flags));
  program
    .command('summary')
    .description('show a build on a page for a CI job, or what is wrong beside its lines; waits for its end')
    .argument('<build>', 'id of the build')
    .addOption(new Option('--format <format>', 'how').choices(summaryFormats).default('markdown'))
    .option('-f, --file <path>', 'where the Dockerfile lies in the repository, if not where the build had it')
    .option(...DATA)
    .addHelpText('after', summaryHelp)
    .action(async (id: string, flags: SummaryFlags) => (await import('./summary.ts')).summary(id, flags));
  program
    .command('ci')
    .description('build with the settings of a CI job, and tell that CI what came of it')
    .addArgument(new Argument('[service]', 'the CI, if the environment does not tell').choices(ciServices))
    .addHelpText('after', ciHelp)
    .action(async (service: CiService | undefined) => (await import('./ci.ts')).ci(service, runBuild));
  program
    .command('cancel')
    .description('cancel a build')
    .argument('<build>', 'id of the build')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (id: string, flags: CancelFlags) => (await import('./cancel.ts')).cancel(id, flags));
}
