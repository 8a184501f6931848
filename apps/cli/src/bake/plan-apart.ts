import { systemCode, KilnError } from '#std';
import { Worker } from 'node:worker_threads';
import type { Planned, PlanInput } from './plan-files.ts';
import type { PlanReply } from './plan-worker.ts';

export interface PlanLimits {
  readonly timeMs: number;
  readonly memoryMib: number;
}

/** Files that people write take milliseconds. */
const usual: PlanLimits = { timeMs: 30_000, memoryMib: 1024 };

/**
 * Works bake files out in a thread of its own, which is ended when it takes too much: expressions can be made to take any time
 * and any memory, and so can the patterns in them.
 * @throws KilnError INVALID_ARGUMENT with the place, or saying what was too much
 */
export async function planApart(input: PlanInput, signal?: AbortSignal, limits = usual): Promise<Planned> {
  const { timeMs, memoryMib } = limits;
  // From source (tests), types are stripped by Node.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./plan-worker.${extension}`, import.meta.url), {
    name: 'bake',
    workerData: input,
    resourceLimits: { maxOldGenerationSizeMb: memoryMib, stackSizeMb: 4 },
  });
  const told = Promise.withResolvers<PlanReply>();
  const timer = setTimeout(() => told.reject(tooMuch(`take more than ${timeMs / 1000} seconds to work out`)), timeMs);
  const leave = (): void => told.reject(signal?.reason);
  signal?.addEventListener('abort', leave, { once: true });
  worker.on('message', (reply: PlanReply) => told.resolve(reply));
  worker.on('error', (thrown) => {
    const full = systemCode(thrown) === 'ERR_WORKER_OUT_OF_MEMORY';
    told.reject(full ? tooMuch(`need more than ${memoryMib} MiB to work out`) : thrown);
  });
  worker.on('exit', () =>
    told.reject(new KilnError('INTERNAL', 'the thread that works bake files out ended by itself')),
  );
  try {
    signal?.throwIfAborted();
    const reply = await told.promise;
    if ('planned' in reply) return reply.planned;
    const { code, message, ...details } = reply;
    throw new KilnError(code, message, details);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', leave);
    await worker.terminate();
  }
}

const tooMuch = (what: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `the bake files ${what}`, {
    hint: 'look for lists and strings that double, and for patterns such as (a+)+',
  });
