import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { KilnError } from '#std';
import { z } from 'zod';

export interface StartOptions {
  readonly dataDir: string;
  /** further arguments of `up` */
  readonly args?: readonly string[];
  readonly onProgress: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** the supervisor's entry point */
  readonly main?: string;
}

/** The supervisor of the embedded farm, beside this app in the build's output. */
export const supervisorMain = fileURLToPath(new URL('../../../local/src/main.js', import.meta.url));

/** What the supervisor says on its standard output, a line each. */
const Announcement = z.discriminatedUnion('event', [
  z.object({ event: z.literal('progress'), message: z.string() }),
  z.object({ event: z.literal('ready') }),
  z.object({ event: z.literal('failed'), message: z.string(), hint: z.string().optional() }),
]);
type Announcement = z.infer<typeof Announcement>;

const TAIL_CHARS = 2_000;

/**
 * Starts the embedded farm, or brings a running one to what `args` say, and resolves when it is ready. The supervisor
 * lives on when this process ends.
 * @throws KilnError UNAVAILABLE with what the supervisor says of its failure
 */
export async function startFarm(options: StartOptions): Promise<void> {
  const { dataDir, args = [], signal, main = supervisorMain } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  // A file, not a pipe: nobody would read the other end later, and writing to it would end the supervisor.
  const log = join(dataDir, 'up.log');
  const errors = await open(log, 'w', 0o600);
  try {
    const child = spawn(process.execPath, [main, 'up', '--data', dataDir, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', errors.fd],
    });
    const exited = new Promise<number | string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, killed) => resolve(code ?? killed ?? 'unknown'));
    });
    exited.catch(() => {});
    const stdout = child.stdout ?? Readable.from([]);
    const last = await follow(stdout, options, signal);
    stdout.destroy();
    child.unref();
    if (last?.event === 'ready') return;
    if (last?.event === 'failed') {
      throw new KilnError('UNAVAILABLE', `the embedded farm did not start: ${last.message}`, {
        hint: last.hint ?? `its log is ${log}`,
      });
    }
    const code = await exited;
    // Nothing to be changed on a farm that runs.
    if (code === 0) return;
    const tail = (await readFile(log, 'utf8')).slice(-TAIL_CHARS).trim();
    throw new KilnError(
      'UNAVAILABLE',
      `the embedded farm ended before it was ready (${code})${tail === '' ? '' : `\n${tail}`}`,
      {
        hint: `its log is ${log}`,
      },
    );
  } finally {
    await errors.close();
  }
}

/** Reads announcements up to the one that ends the start; undefined when the supervisor ended without one. */
async function follow(
  stdout: Readable,
  { onProgress }: StartOptions,
  signal: AbortSignal | undefined,
): Promise<Announcement | undefined> {
  const lines = createInterface({ input: stdout, ...(signal === undefined ? {} : { signal }) });
  try {
    for await (const line of lines) {
      const announcement = parse(line);
      if (announcement?.event === 'progress') onProgress(announcement.message);
      else if (announcement !== undefined) return announcement;
    }
    signal?.throwIfAborted();
    return undefined;
  } finally {
    lines.close();
  }
}

/** What else the supervisor or its children may print is no announcement. */
function parse(line: string): Announcement | undefined {
  try {
    return Announcement.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
