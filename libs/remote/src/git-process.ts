import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Bytes, collect, KilnError } from '#std';

/** What reads foreign bytes has no rights of the builder's. */
export const UNPRIVILEGED_ID = 65_534;
const COMPLAINT_CHARACTERS = 4_000;
const ANSWER_BYTES = 64 * 1024 * 1024;
/** of setpriv: no such command */
const NO_COMMAND = 127;
/** Of git's own, beside what it maps of packs; a tree of a million files needs a fraction of it. */
const MEMORY_BYTES = 4 * 1024 ** 3;

/** One program that ended with a failure. */
export class ProgramFailure extends Error {
  override readonly name = 'ProgramFailure';
  constructor(
    readonly command: string,
    readonly complaint: string,
    readonly code: unknown,
  ) {
    super(complaint === '' ? `${command} ended with ${String(code)}` : complaint);
  }
}

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** of each file that it writes */
  readonly maxFileBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Runs a program as nobody, without capabilities and within bounds; its whole process group ends with the reader.
 * @throws ProgramFailure, KilnError UNAVAILABLE when this node has no such program, the signal's reason
 */
export async function* streamProgram(command: readonly [string, ...string[]], options: ProgramOptions): Bytes {
  const { cwd, env, maxFileBytes, signal } = options;
  signal.throwIfAborted();
  const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups'];
  const rights = ['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'];
  const limits = ['prlimit', `--fsize=${maxFileBytes}`, `--data=${MEMORY_BYTES}`, '--core=0'];
  const child = spawn('setpriv', [...ids, ...rights, '--', ...limits, '--', ...command], {
    cwd,
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS);
  });
  const ended = once(child, 'close');
  ended.catch(() => {});
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  let whole = false;
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const [code] = (await ended) as readonly unknown[];
    whole = true;
    signal.throwIfAborted();
    if (code === NO_COMMAND) {
      throw new KilnError('UNAVAILABLE', `this builder has no ${command[0]}`, {
        hint: `install ${command[0]} on the builders`,
      });
    }
    if (code !== 0) throw new ProgramFailure(command[0], complaint.trim(), code);
  } finally {
    signal.removeEventListener('abort', kill);
    if (!whole) kill();
    await ended.catch(() => {});
  }
}

/** What a program prints. @throws as {@link streamProgram}, KilnError LIMIT_EXCEEDED */
export async function runProgram(command: readonly [string, ...string[]], options: ProgramOptions): Promise<string> {
  return (await collect(streamProgram(command, options), ANSWER_BYTES)).toString('utf8');
}
