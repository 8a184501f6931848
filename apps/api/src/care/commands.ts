import type { Command } from 'commander';
import { resolve } from 'node:path';
import { formatBytes, isKilnError, KilnError, systemClock, systemRandom } from '#std';
import { CareEnv, readConfig } from '../config.ts';
import { type Check, isAway } from './check.ts';
import { doctor } from './doctor.ts';
import { Progress } from './progress.ts';
import { type BackupReport, runBackup } from './run-backup.ts';
import { type RestoreReport, runRestore } from './run-restore.ts';
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
  using progress = told();
  const report = await runFsck({
    ...{ ...surroundings(), deep, repair },
    onFinding: (finding) => json || process.stdout.write(findingText(finding)),
    onProgress: (now) => progress.say(() => progressText(now)),
  });
  process.stdout.write(json ? jsonText(report) : summaryText(report));
  process.exitCode = report.found === 0 ? 0 : 1;
}

interface JsonFlag {
  readonly json?: boolean;
}

async function backup(destination: string, { json = false }: JsonFlag): Promise<void> {
  using progress = told();
  const report = await runBackup({
    ...{ ...surroundings(), destination: resolve(destination), path: process.env['PATH'] ?? '' },
    onProgress: (text) => progress.say(text),
    onLost: (message) => process.stderr.write(`${message}\n`),
  });
  process.stdout.write(json ? jsonText(report) : backupText(report));
  process.exitCode = report.lost === 0 ? 0 : 1;
}

async function restore(source: string, { json = false }: JsonFlag): Promise<void> {
  using progress = told();
  const report = await runRestore({
    ...{ ...surroundings(), source: resolve(source), path: process.env['PATH'] ?? '' },
    onProgress: (text) => progress.say(text),
    onFinding: (finding) => process.stderr.write(findingText(finding)),
  });
  process.stdout.write(json ? jsonText(report) : restoreText(report));
  process.exitCode = report.fsck.found + report.damaged === 0 ? 0 : 1;
}

/** What an operator does for the health of a farm; docs/operations.md tells of it. */
export function addCare(program: Command): void {
  program
    .command('doctor')
    .description('look at all that the farm stands on')
    .option('--json', 'as JSON')
    .option('--disk <path>', 'a folder whose disk is looked at, too; may be repeated', collect)
    .action(async ({ json, disk: disks = [] }: DoctorFlags) => {
      const checks = await doctor({ ...surroundings(), disks });
      process.stdout.write(json === true ? jsonText({ checks }) : checkText(checks));
      process.exitCode = exitOfChecks(checks);
    });
  program
    .command('fsck')
    .description('check rows and bytes against each other')
    .option('--json', 'as JSON')
    .option('--deep', 'read every blob')
    .option('--repair', 'mend what is wrong')
    .action(fsck);
  program
    .command('backup')
    .description('copy the farm into a directory, while it works')
    .argument('<destination>', 'a new directory, or that of an earlier backup')
    .option('--json', 'as JSON')
    .action(backup);
  program
    .command('restore')
    .description('bring a backup back into an empty database and store')
    .argument('<source>', 'directory of the backup')
    .option('--json', 'as JSON')
    .action(restore);
}

/** What each of them works on. @throws KilnError INVALID_ARGUMENT naming the settings that are wrong */
const surroundings = () => ({
  ...{ config: readConfig(CareEnv, process.env), clock: systemClock, random: systemRandom },
  signal: interrupted(),
});

const told = (): Progress => new Progress((line) => process.stderr.write(line));
const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function checkText(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .map(({ name, state, message, next }) => {
      const line = `${state.padEnd(7)}  ${name.padEnd(width)}  ${message}\n`;
      return next === undefined ? line : `${line}${' '.repeat(width + 11)}→ ${next}\n`;
    })
    .join('');
}

function backupText({ blobs, bytes, newBlobs, newBytes, migration, createdAt, lost }: BackupReport): string {
  const damage =
    lost === 0 ? '' : `\n${lost} blobs are lost or damaged: kiln admin fsck --deep --repair, then another backup`;
  return `backup of ${createdAt}: ${blobs} blobs (${formatBytes(bytes)}), ${newBlobs} of them new (${formatBytes(newBytes)}), schema ${migration}
keep KILN_SECRET_KEY apart: without it nothing that is sealed can be opened${damage}\n`;
}

function restoreText({ createdAt, blobs, bytes, damaged, givenBack, migrated, fsck: checked }: RestoreReport): string {
  const lines = [
    `restored the farm of ${createdAt}: ${blobs} blobs (${formatBytes(bytes)})`,
    ...(migrated.length === 0 ? [] : [`migrations applied: ${migrated.join(', ')}`]),
    ...(givenBack === 0 ? [] : [`${givenBack} builds that were in work are in the queue again`]),
    ...(damaged === 0 ? [] : [`${damaged} blobs of the backup are missing or damaged`]),
  ];
  return `${lines.join('\n')}\nfsck: ${summaryText(checked)}`;
}
