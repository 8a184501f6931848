import type { Command } from 'commander';
import { isKilnError, KilnError, systemClock, systemRandom } from '#std';
import { CareEnv, readConfig } from '../config.ts';
import { type Check, isAway } from './check.ts';
import { doctor } from './doctor.ts';
import { Progress } from './progress.ts';
import { findingText, progressText, runFsck, summaryText } from './run-fsck.ts';

const collect = (value: string, known: readonly string[] = []): string[] => [...known, value];

/** Wrong is 1, away is 3: whatever else is wrong, what does not answer comes first. */
const exitOfChecks = (checks: readonly Check[]): number =>
  checks.some(({ unreachable }) => unreachable) ? 3 : checks.some(({ state }) => state === 'wrong') ? 1 : 0;

/** Of a command that failed. */
export function exitOf(thrown: unknown): number {
  if (isKilnError(thrown, 'CANCELLED')) return 130;
  if (isAway(thrown)) return 3;
  return isKilnError(thrown) ? thrown.traits.exit : 1;
}

/** Aborted by Ctrl-C, the first time: what is under way is cleaned up. The second time ends the process. */
function interrupted(): AbortSignal {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new KilnError('CANCELLED', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return stopping.signal;
}

interface DoctorFlags {
  readonly json?: boolean;
  readonly disk?: readonly string[];
}

interface FsckFlags {
  readonly json?: boolean;
  readonly deep?: boolean;
  readonly repair?: boolean;
}

async function fsck({ json = false, deep = false, repair = false }: FsckFlags): Promise<void> {
  const progress = new Progress(systemClock, (line) => process.stderr.write(line));
  const report = await runFsck({
    ...{ config: readConfig(CareEnv, process.env), deep, repair, ...around(), signal: interrupted() },
    onFinding: (finding) => json || process.stdout.write(findingText(finding)),
    onProgress: (now) => progress.say(() => progressText(now)),
  });
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : summaryText(report));
  process.exitCode = report.found === 0 ? 0 : 1;
}

/** What an operator does for the health of a farm; docs/operations.md tells of it. */
export function addCare(program: Command): void {
  program
    .command('doctor')
    .description('look at all that the farm stands on')
    .option('--json', 'as JSON')
    .option('--disk <path>', 'a folder whose disk is looked at, too; may be repeated', collect)
    .action(async ({ json, disk: disks = [] }: DoctorFlags) => {
      const config = readConfig(CareEnv, process.env);
      const checks = await doctor({ config, disks, ...around(), signal: interrupted() });
      process.stdout.write(json === true ? `${JSON.stringify({ checks }, null, 2)}\n` : checkText(checks));
      process.exitCode = exitOfChecks(checks);
    });
  program
    .command('fsck')
    .description('check rows and bytes against each other')
    .option('--json', 'as JSON')
    .option('--deep', 'read every blob')
    .option('--repair', 'mend what is wrong')
    .action(fsck);
}

const around = () => ({ clock: systemClock, random: systemRandom });

function checkText(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .map(({ name, state, message, next }) => {
      const line = `${state.padEnd(7)}  ${name.padEnd(width)}  ${message}\n`;
      return next === undefined ? line : `${line}${' '.repeat(width + 11)}→ ${next}\n`;
    })
    .join('');
}
