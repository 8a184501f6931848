import { parentPort } from 'node:worker_threads';
import { FileHasher, type HashedFile } from './hash-file.ts';

/** Paths of one batch. */
export type HashJob = readonly Uint8Array[];
/** In the order of the paths; what the file system said of those that cannot be read. */
export type HashReply = readonly (HashedFile | { readonly code: string | undefined; readonly failure: string })[];

const hasher = new FileHasher();

function hashed(path: Uint8Array): HashReply[number] {
  try {
    return hasher.hash(path);
  } catch (thrown) {
    const error: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown));
    return { code: error.code, failure: error.message };
  }
}

parentPort?.on('message', (job: HashJob) => parentPort?.postMessage(job.map(hashed)));
