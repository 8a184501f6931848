import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { KilnError, systemCode } from '#std';

const LogLine = z.object({ level: z.string(), msg: z.string() });

/** runc's own helpers are in these; a build's environment is not runc's. */
const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
const deleteLimitMs = 30_000;

export interface RuncRun {
  readonly child: ChildProcess;
  /** 128 + n when it was ended by signal n */
  readonly exited: Promise<number>;
}

/** The command line of runc (or crun, which takes the same). */
export class Runc {
  readonly #path: string;
  readonly #state: string;

  /** @param state where the runtime keeps what it knows of its containers */
  constructor(path: string, state: string) {
    this.#path = path;
    this.#state = state;
  }

  /** Runs a bundle's process; the container stays, as a dead one, until {@link delete}. */
  run(id: string, bundle: string, output: readonly [number, number]): RuncRun {
    const log = ['--log', logOf(bundle), '--log-format', 'json'];
    const child = spawn(this.#path, ['--root', this.#state, ...log, 'run', '--keep', '--bundle', bundle, id], {
      stdio: ['ignore', ...output],
      env,
    });
    const exited = new Promise<number>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new KilnError('SANDBOX_FAILED', `${this.#path} cannot be started`, { hint: 'install runc', cause })),
      );
      child.once('exit', (code, signal) => {
        if (code !== null) resolve(code);
        else reject(new KilnError('SANDBOX_FAILED', `${this.#path} was ended by ${signal ?? 'a signal'}`));
      });
    });
    return { child, exited };
  }

  /** Why the runtime could not start the process; undefined when it did. */
  async failure(bundle: string): Promise<string | undefined> {
    const lines = (await readFile(logOf(bundle), 'utf8').catch(missingAsEmpty))
      .split('\n')
      .filter((line) => line !== '');
    const errors = lines.map((line) => LogLine.parse(JSON.parse(line))).filter(({ level }) => level === 'error');
    return errors.at(-1)?.msg;
  }

  /** Kills what is left of a container and forgets it; nothing happens where there is none. */
  async delete(id: string): Promise<void> {
    await promisify(execFile)(this.#path, ['--root', this.#state, 'delete', '--force', id], {
      env,
      timeout: deleteLimitMs,
    });
  }

  /**
   * Forgets a container whose process and `run` have ended by themselves: what is left of it is a record. Its control group is
   * the caller's. Spares the 25 ms that {@link delete} takes to start.
   */
  async forget(id: string): Promise<void> {
    await rm(join(this.#state, id), { recursive: true, force: true });
  }

  async list(): Promise<readonly string[]> {
    try {
      return await readdir(this.#state);
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return [];
      throw thrown;
    }
  }
}

const logOf = (bundle: string): string => join(bundle, 'runtime.log');

function missingAsEmpty(thrown: unknown): string {
  if (systemCode(thrown) === 'ENOENT') return '';
  throw thrown;
}

/**
 * The exit code of a command that does not exist (127) or cannot be executed (126), as a shell has it, from the
 * runtime's message; undefined for failures of the sandbox itself.
 */
export function commandFailure(message: string): 126 | 127 | undefined {
  const reason = /(?:^|[\s:])exec:? "?[^:]*: (.*)$/s.exec(message)?.[1];
  if (reason === undefined || /chdir to cwd/.test(message)) return undefined;
  if (/executable file not found|no such file or directory|not a directory/.test(reason)) return 127;
  return /permission denied|exec format error|is a directory/.test(reason) ? 126 : undefined;
}
