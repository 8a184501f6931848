import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { DeltaEntry } from '#content';
import { KilnError } from '#std';
import type { Comparison, CompareRequest, Differ, LayerFile } from './differ.ts';
import type { DifferJob, DifferReply } from './differ-protocol.ts';
import { removeTree } from './remove-tree.ts';

export interface DifferOptions {
  /** how many comparisons run at once */
  readonly threads: number;
  /** where layers wait for their caller: a directory of the differ's own, emptied at the start */
  readonly tempDir: string;
}

/** A build waits for its own comparisons; more than this is a fault elsewhere. */
const queueLimit = 256;

/** Threads start with the first comparison. */
export async function createDiffer({ threads, tempDir }: DifferOptions): Promise<Differ & AsyncDisposable> {
  await removeTree(tempDir);
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  return new ThreadedDiffer(threads, tempDir);
}

interface Task {
  readonly job: DifferJob;
  readonly delta: PromiseWithResolvers<readonly DeltaEntry[]>;
  readonly layer: PromiseWithResolvers<LayerFile>;
  readonly signal: AbortSignal | undefined;
  readonly release: () => void;
}

class ThreadedDiffer implements Differ, AsyncDisposable {
  readonly #threads: number;
  readonly #tempDir: string;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task>();
  readonly #queue: Task[] = [];
  #count = 0;
  #closed = false;

  constructor(threads: number, tempDir: string) {
    this.#threads = threads;
    this.#tempDir = tempDir;
  }

  compare({ upper, lower, shift, signal }: CompareRequest): Comparison {
    const stop = new SharedArrayBuffer(4);
    const onAbort = (): void => this.#stop(task);
    const task: Task = {
      job: { upper, lower, shift, stop, file: join(this.#tempDir, `${++this.#count}`) },
      delta: Promise.withResolvers(),
      layer: Promise.withResolvers(),
      signal,
      release: () => signal?.removeEventListener('abort', onAbort),
    };
    // Callers that only want one of the two need not watch the other.
    task.delta.promise.catch(() => {});
    task.layer.promise.catch(() => {});
    const refusal = this.#refusal(signal);
    if (refusal !== undefined) {
      fail(task, refusal);
    } else {
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(task);
      this.#next();
    }
    return { delta: task.delta.promise, layer: task.layer.promise };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const task of this.#queue.splice(0)) fail(task, closed());
    const busy = [...this.#busy];
    this.#busy.clear();
    await Promise.all([...busy.map(([worker]) => worker), ...this.#idle.splice(0)].map((worker) => worker.terminate()));
    for (const [, task] of busy) fail(task, closed());
    await removeTree(this.#tempDir);
  }

  #refusal(signal: AbortSignal | undefined): unknown {
    if (this.#closed) return closed();
    if (signal?.aborted === true) return signal.reason;
    if (this.#queue.length < queueLimit) return undefined;
    return new KilnError('UNAVAILABLE', `${queueLimit} comparisons wait already`);
  }

  #next(): void {
    while (this.#queue.length > 0 && this.#busy.size < this.#threads) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      const worker = this.#idle.pop() ?? this.#start();
      this.#busy.set(worker, task);
      worker.postMessage(task.job);
    }
  }

  #start(): Worker {
    const source = import.meta.url.endsWith('.ts');
    // From source (tests), types are stripped by Node and the libraries are found as sources too.
    const worker = new Worker(new URL(source ? './differ-worker.ts' : './differ-worker.js', import.meta.url), {
      name: 'differ',
      ...(source ? { execArgv: ['--conditions=kiln-source'] } : {}),
    });
    worker.on('message', (reply: DifferReply) => this.#hear(worker, reply));
    worker.on('error', (error: unknown) => this.#lost(worker, error));
    worker.on('exit', (code) => this.#lost(worker, new Error(`exit code ${code}`)));
    return worker;
  }

  #hear(worker: Worker, reply: DifferReply): void {
    const task = this.#busy.get(worker);
    if (task === undefined) return;
    switch (reply.kind) {
      case 'delta':
        task.delta.resolve(reply.delta);
        return;
      case 'layer':
        task.layer.resolve({ ...reply.layer, file: task.job.file });
        break;
      case 'failed':
        fail(task, reasonOf(task, reply));
        break;
    }
    task.release();
    this.#busy.delete(worker);
    this.#idle.push(worker);
    this.#next();
  }

  #lost(worker: Worker, cause: unknown): void {
    const task = this.#busy.get(worker);
    this.#busy.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at !== -1) this.#idle.splice(at, 1);
    if (task === undefined) return;
    fail(task, new KilnError('INTERNAL', 'the thread that makes layers died', { cause }));
    void rm(task.job.file, { force: true });
    this.#next();
  }

  #stop(task: Task): void {
    const at = this.#queue.indexOf(task);
    // A running one ends by itself at its next file, and says so.
    Atomics.store(new Int32Array(task.job.stop), 0, 1);
    if (at === -1) return;
    this.#queue.splice(at, 1);
    fail(task, task.signal?.reason);
  }
}

function fail(task: Task, reason: unknown): void {
  task.release();
  task.delta.reject(reason);
  task.layer.reject(reason);
}

function reasonOf({ signal }: Task, { code, message, hint, stack }: DifferReply & { kind: 'failed' }): unknown {
  if (signal?.aborted === true) return signal.reason;
  const cause = new Error(message);
  if (stack !== undefined) cause.stack = stack;
  return new KilnError(code, message, { hint, cause });
}

const closed = (): KilnError => new KilnError('CANCELLED', 'the differ was closed');
