import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Clock, Logger } from '#std';
import { KilnError, messageOf } from '#std';
import { ProcessLog } from './process-log.ts';

/** The events that a process announced, by their names. */
export type Said = ReadonlyMap<string, unknown>;

export interface ChildSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /**
   * Resolves when the process does its work; tried again until it does. With `said`, what the process has written to its
   * standard output as JSON lines.
   */
  readonly ready: (said: Said) => Promise<boolean>;
  /** asked to end by this */
  readonly stopSignal: NodeJS.Signals;
  /** then ended by force after this */
  readonly stopMs: number;
  /** how it is asked to finish its work first, and how long that may take */
  readonly drain?: { readonly signal: NodeJS.Signals; readonly ms: number };
  /** who is to be asked; the process itself by default */
  readonly stopTarget?: (pid: number) => Promise<number>;
  /** clears what an earlier run left behind; before every start and after the last end */
  readonly sweep?: () => Promise<void>;
}

export type ChildState = 'starting' | 'ready' | 'restarting' | 'stopped';

const READY_MS = 60_000;
const READY_POLL_MS = 25;
/** A process announces a few, each once. */
const MAX_EVENTS = 16;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 10_000;
/** Who lived for so long is no longer in a crash loop. */
const STEADY_MS = 30_000;

/** A process that is started again when it ends, until it is stopped. */
export class Child {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #process: ChildProcess | undefined;
  #state: ChildState = 'stopped';
  #said: Said = new Map();
  #running: Promise<void> | undefined;

  constructor(
    readonly spec: ChildSpec,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** What the present process announced. */
  get said(): Said {
    return this.#said;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Resolves when it is ready for the first time. @throws KilnError UNAVAILABLE with the end of its log */
  async start(): Promise<void> {
    const first = Promise.withResolvers<void>();
    first.promise.catch(() => undefined);
    this.#running = this.#keep(first);
    await first.promise;
  }

  /** Lets it finish its work, as far as it can, and ends it. */
  async drain(): Promise<void> {
    await this.#end(this.spec.drain ?? { signal: this.spec.stopSignal, ms: this.spec.stopMs });
  }

  /** Asks it to end, then ends it; resolves when it is gone. */
  async stop(): Promise<void> {
    await this.#end({ signal: this.spec.stopSignal, ms: this.spec.stopMs });
  }

  async #end({ signal, ms }: { readonly signal: NodeJS.Signals; readonly ms: number }): Promise<void> {
    this.#stop.abort();
    const running = this.#process;
    if (running?.pid !== undefined && running.exitCode === null && running.signalCode === null) {
      const { stopTarget } = this.spec;
      const gone = once(running, 'exit');
      const target = (await stopTarget?.(running.pid).catch(() => undefined)) ?? running.pid;
      kill(target, signal);
      const timer = setTimeout(() => running.kill('SIGKILL'), ms);
      await gone;
      clearTimeout(timer);
    }
    await this.#running;
  }

  async #keep(first: PromiseWithResolvers<void>): Promise<void> {
    const { name, sweep } = this.spec;
    let backoffMs = BACKOFF_FIRST_MS;
    while (!this.#stop.signal.aborted) {
      const beganMs = this.#clock.nowMs();
      try {
        await sweep?.();
        await this.#once(() => first.resolve());
      } catch (thrown) {
        first.reject(thrown);
        this.#logger.error(`${name} failed`, { error: messageOf(thrown) });
      }
      if (this.#stop.signal.aborted) break;
      this.#state = 'restarting';
      if (this.#clock.nowMs() - beganMs > STEADY_MS) backoffMs = BACKOFF_FIRST_MS;
      this.#logger.warn(`${name} ended; it is started again`, { inMs: backoffMs });
      await this.#clock.sleep(backoffMs, this.#stop.signal).catch(() => undefined);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
    }
    this.#state = 'stopped';
    first.reject(new KilnError('UNAVAILABLE', `${name} was stopped`));
    await sweep?.().catch((error: unknown) => this.#logger.error(`${name} left something behind`, { error }));
  }

  /** From start to end of one process. */
  async #once(onReady: () => void): Promise<void> {
    const { name, command, env, logFile, ready } = this.spec;
    const [program, ...args] = command;
    this.#state = this.#state === 'restarting' ? 'restarting' : 'starting';
    const log = new ProcessLog(logFile);
    const child = spawn(program, args, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    const ended = Promise.withResolvers<string>();
    child.once('error', (error) => ended.resolve(error.message));
    child.once('exit', (code, signal) => ended.resolve(`it ended with ${code ?? signal ?? 'nothing'}`));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => log.write(chunk));
    const said = eventsOf(child);
    this.#said = said;
    try {
      const deadlineMs = this.#clock.nowMs() + READY_MS;
      let why: string | undefined;
      void ended.promise.then((how) => (why = how));
      while (!(await ready(said).catch(() => false))) {
        if (this.#clock.nowMs() > deadlineMs) {
          child.kill('SIGKILL');
          why ??= 'it took too long';
        }
        if (why !== undefined) {
          throw new KilnError('UNAVAILABLE', `${name} did not start: ${why}\n${log.tail()}`, {
            hint: `its log is ${logFile}`,
          });
        }
        await this.#clock.sleep(READY_POLL_MS);
      }
      if (why === undefined) {
        this.#state = 'ready';
        onReady();
      }
      await ended.promise;
    } finally {
      log.close();
    }
  }
}

function eventsOf(child: ChildProcess): Said {
  const said = new Map<string, unknown>();
  if (child.stdout === null) return said;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const match = /^\{"event":"([a-z]+)"/.exec(line);
    if (match?.[1] !== undefined && said.size < MAX_EVENTS) said.set(match[1], parsed(line));
  });
  return said;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
