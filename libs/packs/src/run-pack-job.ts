import { Worker } from 'node:worker_threads';
import { KilnError } from '#std';
import type { PackJobKind, PackJobs, PackReply } from './pack-job.ts';

/** A directory that takes more than this to describe fails its thread, not the process. */
const MEMORY_MIB = 2048;

/**
 * Does one job in a thread of its own: all of it blocks, and is ended in the middle when the signal is aborted.
 * @throws KilnError BLOB_CORRUPT, INTERNAL; the signal's reason
 */
export async function runPackJob<K extends PackJobKind>(
  kind: K,
  job: PackJobs[K]['job'],
  signal: AbortSignal,
): Promise<PackJobs[K]['reply']> {
  signal.throwIfAborted();
  const source = import.meta.url.endsWith('.ts');
  // From source (tests), types are stripped by Node and the libraries are found as sources too.
  const worker = new Worker(new URL(source ? './pack-worker.ts' : './pack-worker.js', import.meta.url), {
    name: 'packs',
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB },
    ...(source ? { execArgv: ['--conditions=kiln-source'] } : {}),
  });
  const { promise, resolve, reject } = Promise.withResolvers<PackReply>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  worker.on('message', resolve);
  worker.on('error', (cause) => reject(new KilnError('INTERNAL', 'the thread of a cache mount died', { cause })));
  worker.on('exit', (code) => reject(new KilnError('INTERNAL', `the thread of a cache mount ended with ${code}`)));
  worker.postMessage({ kind, job });
  try {
    const reply = await promise;
    if (reply.ok) return reply.reply;
    throw new KilnError(reply.code, reply.message, { cause: new Error(reply.stack ?? reply.message) });
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Nothing touches the directory any more once this has resolved.
    await worker.terminate();
  }
}
