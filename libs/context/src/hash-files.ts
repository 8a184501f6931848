import { availableParallelism } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { KilnError } from '#std';
import { FileHasher, type HashedFile } from './hash-file.ts';
import type { HashReply } from './hash-worker.ts';
import { type ContextFile, unreadable } from './walk-context.ts';

/** Below this, starting threads (some 40 ms) takes longer than they save. */
const THREADS_FROM_BYTES = 32 * 1024 * 1024;
const THREADS_FROM_FILES = 2_000;
const MAX_THREADS = 4;
/** Of one message to a thread. */
const BATCH_FILES = 128;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Under way with each thread: one is read while the next waits. */
const DEPTH = 2;

/** Told of each file with what was found; throws to end it all. */
export type OnHashed = (file: ContextFile, hashed: HashedFile) => void;

/**
 * Reads files and digests them: few here, many in threads.
 * @throws KilnError CONTEXT_INVALID naming what cannot be read; what `onHashed` and the signal throw
 */
export async function hashFiles(
  files: readonly ContextFile[],
  onHashed: OnHashed,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (files.length > 1 && (bytes >= THREADS_FROM_BYTES || files.length >= THREADS_FROM_FILES)) {
    const batches = [...batchesOf(files)];
    const threads = Math.min(MAX_THREADS, batches.length, Math.max(2, availableParallelism()));
    return await inThreads(batches, threads, onHashed, signal);
  }
  const hasher = new FileHasher();
  let sinceTurn = 0;
  for (const file of files) {
    // Reading blocks: let signals in.
    if (sinceTurn > BATCH_BYTES) {
      await turn();
      sinceTurn = 0;
    }
    signal?.throwIfAborted();
    sinceTurn += file.sizeBytes;
    onHashed(file, hashHere(hasher, file));
  }
}

function hashHere(hasher: FileHasher, file: ContextFile): HashedFile {
  try {
    return hasher.hash(file.diskPath);
  } catch (thrown) {
    throw unreadable(file.path, thrown);
  }
}

function* batchesOf(files: readonly ContextFile[]): Generator<readonly ContextFile[]> {
  let batch: ContextFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length >= BATCH_FILES || (batch.length > 0 && bytes + file.sizeBytes > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}

async function inThreads(
  batches: (readonly ContextFile[])[],
  threads: number,
  onHashed: OnHashed,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const done = Promise.withResolvers<void>();
  const onAbort = (): void => done.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const waiting = batches.toReversed();
  let open = batches.length;
  const workers = Array.from({ length: threads }, () => startWorker());
  for (const worker of workers) {
    const given: (readonly ContextFile[])[] = [];
    const next = (): void => {
      const batch = waiting.pop();
      if (batch === undefined) return;
      given.push(batch);
      worker.postMessage(batch.map(({ diskPath }) => diskPath));
    };
    worker.on('error', (cause) => done.reject(died(cause)));
    worker.on('exit', (code) => done.reject(died(new Error(`exit code ${code}`))));
    worker.on('message', (reply: HashReply) => {
      const batch = given.shift() ?? [];
      next();
      try {
        for (const [at, file] of batch.entries()) onHashed(file, resultOf(file, reply[at]));
      } catch (thrown) {
        return done.reject(thrown);
      }
      if (--open === 0) done.resolve();
    });
    for (let depth = 0; depth < DEPTH; depth++) next();
  }
  try {
    await done.promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function startWorker(): Worker {
  // From source (tests), types are stripped by Node.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./hash-worker.${extension}`, import.meta.url), { name: 'hash' });
}

const died = (cause: unknown): KilnError =>
  new KilnError('INTERNAL', 'a thread that digests files of the context died', { cause });

function resultOf(file: ContextFile, reply: HashReply[number] | undefined): HashedFile {
  if (reply === undefined) throw died(new Error('an answer is missing'));
  if (!('failure' in reply)) return reply;
  throw unreadable(file.path, Object.assign(new Error(reply.failure), { code: reply.code }));
}
