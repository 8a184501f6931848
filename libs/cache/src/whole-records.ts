import type { ContentStore } from '#content';
import type { Digest } from '#oci';
import type { CacheRecord, CacheStore, Result } from './record.ts';

/** Every blob that a result needs to be used. */
export function blobsOf(result: Result): readonly Digest[] {
  return result.layers.flatMap((layer) => [layer.descriptor.digest, layer.delta.digest]);
}

/**
 * A record counts only while all its blobs are in the content store: look-ups leave out, and take back, what is not whole.
 */
export function wholeRecords(cache: CacheStore, content: ContentStore): CacheStore {
  return {
    ...delegate(cache),
    async lookup(keys, ops, signal) {
      const answer = await cache.lookup(keys, ops, signal);
      const results = [...answer.records.values()].flat().map((record) => record.result);
      const missing = await content.findMissing(new Set(results.flatMap(blobsOf)), signal);
      if (missing.size === 0) return answer;
      await cache.forget(missing, signal);
      const whole = (record: CacheRecord): boolean => !blobsOf(record.result).some((digest) => missing.has(digest));
      const records = [...answer.records]
        .map(([key, candidates]) => [key, candidates.filter(whole)] as const)
        .filter(([, candidates]) => candidates.length > 0);
      return { ...answer, records: new Map(records) };
    },
  };
}

function delegate(cache: CacheStore): CacheStore {
  return {
    lookup: (keys, ops, signal) => cache.lookup(keys, ops, signal),
    reserve: (result, signal) => cache.reserve(result, signal),
    save: (keys, result, confirmedAtMs, signal) => cache.save(keys, result, confirmedAtMs, signal),
    forget: (blobs, signal) => cache.forget(blobs, signal),
    findDeltas: (diffIds, signal) => cache.findDeltas(diffIds, signal),
    saveDelta: (diffId, delta, signal) => cache.saveDelta(diffId, delta, signal),
  };
}
