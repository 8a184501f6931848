import type { CacheStore } from '#cache';
import type { Digest } from '#oci';
import type { BuildEvent } from '#protocol';
import { ResultLost, VertexFailure } from '#solver';
import type { DamagedBlobs } from './damaged-blobs.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { Sources } from './sources.ts';

/** A lost or damaged blob costs a re-run; more often than this in one build, the store itself is failing. */
const MAX_REPAIRS = 3;

export interface Repairing {
  readonly node: EngineNode;
  readonly damaged: DamagedBlobs;
  readonly sources: Sources;
  readonly cache: CacheStore;
  readonly report: (event: BuildEvent) => void;
}

/**
 * From the first look-up to the last byte out; begun again where a blob that a record promised turned out lost or
 * damaged: what refers to it is forgotten, so that its step runs.
 */
export async function whole<T>(
  job: BuildJobInput,
  { node, damaged, sources, cache, report }: Repairing,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let repairs = 0; ; repairs++) {
    try {
      return await attempt();
    } catch (thrown) {
      // Who waits for a part repairs it: only there all that it stands on can be made again.
      if (job.part !== undefined || repairs >= MAX_REPAIRS || job.signal.aborted) throw thrown;
      const lost = lostBy(thrown, damaged);
      if (lost === undefined) throw thrown;
      await cache.forget(lost, job.signal);
      await sources.renew(lost, job.signal);
      const what = lost.size === 0 ? 'a cached result was lost' : `${lost.size} cached blobs were lost or damaged`;
      const message = `${what}: what is missing runs again`;
      report({ type: 'warning', atMs: node.clock.nowMs(), message });
    }
  }
}

/** What a repair has to make again; undefined where nothing was lost. */
export function lostBy(thrown: unknown, damaged: DamagedBlobs): ReadonlySet<Digest> | undefined {
  const lost: ReadonlySet<Digest> = damaged.take();
  const cause = thrown instanceof VertexFailure ? thrown.cause : thrown;
  return lost.size > 0 || cause instanceof ResultLost ? lost : undefined;
}
