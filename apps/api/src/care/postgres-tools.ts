import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { KilnError } from '#std';

/** Where Debian has those of each version. */
const DEBIAN = '/usr/lib/postgresql';
const TAIL_CHARS = 2_000;

/** A database, and the path that programs are found by. */
export interface ToolOptions {
  readonly url: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Writes the database as it is in a snapshot into a file, in pg_dump's own format. */
export async function dumpDatabase(file: string, snapshot: string, options: ToolOptions): Promise<void> {
  const args = ['--format=custom', '--no-owner', '--no-privileges', `--snapshot=${snapshot}`, `--file=${file}`];
  const dumping = await start('pg_dump', [...args, `--dbname=${withoutPassword(options.url)}`], options);
  dumping.child.stdin.end();
  dumping.child.stdout.resume();
  await dumping.ended;
}

/** Brings a dump back, with more statements at its end, in one transaction: all of it, or nothing. */
export async function restoreDatabase(file: string, more: string, options: ToolOptions): Promise<void> {
  const words = ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--output=/dev/null'];
  const loading = await start('psql', [...words, `--dbname=${withoutPassword(options.url)}`], options);
  loading.ended.catch(() => undefined);
  const { stdin } = loading.child;
  // What it has against it is in its own words.
  stdin.on('error', () => undefined);
  try {
    const reading = await start('pg_restore', ['--no-owner', '--no-privileges', '--file=-', file], options);
    reading.child.stdin.end();
    reading.ended.catch(() => undefined);
    for await (const chunk of reading.child.stdout) if (!stdin.write(chunk)) await drained(stdin, loading.ended);
    await reading.ended;
  } catch (thrown) {
    // At the end of its input it would commit.
    loading.child.kill('SIGKILL');
    throw thrown;
  }
  stdin.end(more);
  await finished(stdin).catch(() => undefined);
  await loading.ended;
}

/** Until there is room, or nobody reads any more. */
async function drained(stdin: NodeJS.EventEmitter, ended: Promise<void>): Promise<void> {
  await Promise.race([once(stdin, 'drain'), ended]);
}

async function start(name: string, args: readonly string[], { url, path, signal }: ToolOptions) {
  signal.throwIfAborted();
  const program = await programOf(name);
  const child = spawn(program, args, {
    env: { PATH: path, PGPASSWORD: decodeURIComponent(new URL(url).password), PGAPPNAME: `kiln ${name}` },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-TAIL_CHARS)));
  const ended = (async (): Promise<void> => {
    const failure = new Promise<Error>((resolve) => child.once('error', resolve));
    const code = await Promise.race([once(child, 'close').then(([status]: unknown[]) => status), failure]);
    signal.throwIfAborted();
    if (code === 0) return;
    const why = code instanceof Error ? code.message : said.trim();
    throw new KilnError('UNAVAILABLE', `${name} failed: ${why}`, { hint: hintOf(why) });
  })();
  return { child, ended };
}

/** What to do about what a program said. */
export function hintOf(said: string): string | undefined {
  if (/No space left/.test(said)) return 'make room there, and begin again: blobs that have come stay';
  return /ENOENT|version mismatch|unsupported version/.test(said)
    ? 'install Postgres’ client programs, of the server’s version or newer (apt-get install postgresql-client)'
    : undefined;
}

/** Debian's own of the newest version, else what the path has. */
async function programOf(name: string): Promise<string> {
  const versions = (await readdir(DEBIAN).catch(() => [])).filter((version) => /^\d+$/.test(version));
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? name : join(DEBIAN, newest, 'bin', name);
}

/** What others on the machine may see among the arguments of a process. */
function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = '';
  return shown.href;
}
