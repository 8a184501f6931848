import { Command, InvalidArgumentError } from 'commander';
import { resolve } from 'node:path';
import { parseStoreLocation } from '#content';
import { isKilnError, jsonLogger, KilnError, messageOf, systemClock, systemRandom } from '#std';
import { runAdmin } from './admin.ts';
import { readConfig } from './config.ts';
import { ask, FarmStatus } from './control.ts';
import { readIdentity } from './identity.ts';
import { farmIdOf } from './layout.ts';
import { runRestore } from './restore.ts';
import { Supervisor } from './supervisor.ts';

const DEFAULT_BUILDERS = 2;
/** How long a second `up` waits for the first one's farm to be known. */
const PATIENCE_MS = 10_000;
/** A farm that runs answers sooner. */
const SLOW_MS = 500;

type Announcement =
  | { readonly event: 'progress'; readonly message: string }
  | { readonly event: 'ready' }
  | { readonly event: 'failed'; readonly message: string; readonly hint?: string | undefined };

function announce(announcement: Announcement): void {
  process.stdout.write(`${JSON.stringify(announcement)}\n`);
}

const logger = jsonLogger(
  (line) => process.stderr.write(line),
  () => systemClock.nowMs(),
);

/** Becomes the farm's supervisor, or brings the one that runs to what is asked for. */
async function up({ data: dataDir, builders, objectStore }: Flags): Promise<void> {
  if (objectStore !== undefined) parseStoreLocation(objectStore);
  if (process.getuid?.() !== 0) {
    throw new KilnError('UNAVAILABLE', 'the embedded farm needs root: it runs containers', {
      hint: 'run it as root, or use a farm of your team with KILN_URL and KILN_TOKEN',
    });
  }
  const supervisor = await Supervisor.take({
    dataDir,
    builders: builders ?? DEFAULT_BUILDERS,
    objectStore,
    ...readConfig(process.env),
    clock: systemClock,
    random: systemRandom,
    logger,
    report: (message) => announce({ event: 'progress', message }),
  });
  if (supervisor === undefined) return await join(dataDir, builders, objectStore);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void supervisor.down());
  try {
    await supervisor.started;
    announce({ event: 'ready' });
  } catch (thrown) {
    await supervisor.down();
    await supervisor.close();
    throw thrown;
  }
  await supervisor.ended;
  await supervisor.close();
}

/** Waits for the farm that another process starts or runs. */
async function join(dataDir: string, builders: number | undefined, objectStore: string | undefined): Promise<void> {
  const report = (message: string): void => announce({ event: 'progress', message });
  const slow = setTimeout(() => report('another process starts the farm; waiting for it'), SLOW_MS);
  const status = await runningFarm(dataDir).finally(() => clearTimeout(slow));
  checkObjectStore(status.objectStore, objectStore);
  if (builders !== undefined) {
    if (builders < status.builders.length) report('builders that are too many finish their builds (up to 30 s)');
    await askFarm(dataDir, 'POST', `/builders/${builders}`);
  }
  announce({ event: 'ready' });
}

/** What a farm says of itself, once it has started. */
async function runningFarm(dataDir: string): Promise<FarmStatus> {
  const untilMs = systemClock.nowMs() + PATIENCE_MS;
  for (;;) {
    const identity = await readIdentity(dataDir);
    const status = identity && (await ask(await farmIdOf(dataDir), identity.token, 'GET', '/status').catch(refused));
    if (status !== undefined && status !== 'refused') return FarmStatus.parse(status);
    if (systemClock.nowMs() > untilMs) throw new KilnError('UNAVAILABLE', 'the farm does not answer');
    await systemClock.sleep(100);
  }
}

/** The blobs of a farm that runs stay where they are. */
function checkObjectStore(used: string, wanted: string | undefined): void {
  if (wanted === undefined || wanted === used) return;
  throw new KilnError('CONFLICT', `the farm runs on another object store: ${used}`, {
    hint: 'end it with kiln down first; what only the other store has is built again',
  });
}

/** Before the supervisor knows its own token it refuses everyone. */
function refused(thrown: unknown): 'refused' {
  if (isKilnError(thrown, 'UNAVAILABLE') && thrown.message === 'wrong token') return 'refused';
  throw thrown;
}

async function askFarm(dataDir: string, method: string, path: string): Promise<unknown> {
  const identity = await readIdentity(dataDir);
  return identity === undefined ? undefined : await ask(await farmIdOf(dataDir), identity.token, method, path);
}

async function status(dataDir: string, json: boolean): Promise<void> {
  const answer = await askFarm(dataDir, 'GET', '/status');
  if (answer === undefined) {
    process.stderr.write(`no farm runs for ${dataDir}\nstart it with kiln up\n`);
    process.exitCode = 3;
    return;
  }
  const farm = FarmStatus.parse(answer);
  if (json) {
    process.stdout.write(`${JSON.stringify(farm)}\n`);
    return;
  }
  const line = (name: string, text: string): string => `${name.padEnd(10)} ${text}\n`;
  process.stdout.write(
    [
      line('api', farm.api.url),
      line('registry', farm.registry.address),
      ...farm.builders.map((each) => line(each.id, builderText(each))),
      line('postgres', `port ${farm.services.postgres.port}`),
      line('redis', `port ${farm.services.redis.port}`),
      line('blobs', farm.objectStore),
      line('data', farm.data),
    ].join(''),
  );
}

/** `ready (pid 17), linux/amd64; emulates linux/arm64` */
function builderText({ state, pid, platforms, emulated }: FarmStatus['builders'][number]): string {
  const own = platforms.length === 0 ? '' : `, ${platforms.join(' ')}`;
  return `${state} (pid ${pid ?? 'none'})${own}${emulated.length === 0 ? '' : `; emulates ${emulated.join(' ')}`}`;
}

async function down(dataDir: string): Promise<void> {
  const answer = await askFarm(dataDir, 'POST', '/down');
  process.stdout.write(answer === undefined ? `no farm runs for ${dataDir}\n` : 'farm stopped\n');
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 64) throw new InvalidArgumentError('a number from 1 to 64');
  return value;
}

interface Flags {
  readonly data: string;
  readonly builders?: number;
  readonly objectStore?: string;
  readonly json?: boolean;
}

const program = new Command('kiln-local').description('Starts, changes, shows and ends an embedded farm.');
const command = (name: string): Command =>
  program.command(name).requiredOption('--data <dir>', 'data directory', (path) => resolve(path));
command('up')
  .option('--builders <n>', 'number of builders', positive)
  .option('--object-store <address>', 'where blobs are')
  .action((flags: Flags) => up(flags));
command('status')
  .option('--json')
  .action(({ data, json }: Flags) => status(data, json === true));
command('down').action(({ data }: Flags) => down(data));

command('admin')
  .argument('<words...>', 'command of the admin program, with its flags')
  .action(async (words: readonly string[], { data }: Flags) => {
    const run = words[0] === 'restore' ? runRestore : runAdmin;
    process.exitCode = await run(data, words, readConfig(process.env));
  });

// Whoever started the farm has read what it wanted to know.
process.stdout.on('error', () => undefined);
try {
  await program.parseAsync();
} catch (thrown) {
  const hint = isKilnError(thrown) ? thrown.hint : undefined;
  if (process.argv[2] === 'up') announce({ event: 'failed', message: messageOf(thrown), hint });
  else process.stderr.write(`${messageOf(thrown)}\n${hint === undefined ? '' : `${hint}\n`}`);
  process.exitCode = isKilnError(thrown) ? thrown.traits.exit : 1;
}
