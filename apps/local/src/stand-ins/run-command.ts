import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { KilnError, messageOf } from '#std';

const run = promisify(execFile);
const OUTPUT_BYTES = 16 * 1024 * 1024;
const TAIL_CHARS = 1_000;

export interface CommandOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** what a person can do when it fails */
  readonly hint?: string;
}

/**
 * Standard output of a command.
 * @throws KilnError UPSTREAM_UNAVAILABLE with the end of what it said, when it fails or is not there
 */
export async function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { signal, cwd, env, hint } = options;
  try {
    const { stdout } = await run(command, args, {
      signal,
      cwd,
      env: { ...process.env, ...env },
      maxBuffer: OUTPUT_BYTES,
      killSignal: 'SIGKILL',
    });
    return stdout;
  } catch (cause) {
    signal.throwIfAborted();
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().slice(-TAIL_CHARS) : '';
    throw new KilnError('UPSTREAM_UNAVAILABLE', `${command} failed: ${said === '' ? messageOf(cause) : said}`, {
      cause,
      hint,
    });
  }
}
