import type { ContentStore } from '#content';
import type { BuildEvent } from '#protocol';
import type { IgnoreRules } from '#context';
import { DamagedBlobs } from './damaged-blobs.ts';
import type { DockerfileSource } from './dockerfile-source.ts';
import { Images } from './images.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { LinkedBuilds } from './linked-builds.ts';
import { PendingBlobs } from './pending-blobs.ts';
import type { PlacedBlobs } from './placed-blobs.ts';
import type { LocalRef } from './ref.ts';
import type { Telling } from './run-part.ts';
import type { SentContent } from './sent-content.ts';
import { Sources } from './sources.ts';
import type { StepLogs } from './step-logs.ts';
import type { Tally } from './tally.ts';

/** What a build takes from outside of the farm, and what is told of it. */
export interface Outside {
  readonly tally: Tally;
  readonly placed: PlacedBlobs;
  readonly sent: SentContent;
  readonly report: (event: BuildEvent) => void;
  readonly telling: Telling;
  readonly damaged: DamagedBlobs;
  /** what this build makes, before it is stored */
  readonly pending: PendingBlobs;
  /** in which lost blobs are noted, and pending ones found */
  readonly content: ContentStore;
  readonly images: Images;
  readonly sources: Sources;
}

interface Pulling {
  readonly tally: Tally;
  readonly placed: PlacedBlobs;
  readonly sent: SentContent;
  readonly onPulled: (bytes: number) => void;
}

export function outsideOf(node: EngineNode, job: BuildJobInput, { tally, placed, sent, onPulled }: Pulling): Outside {
  const report = (event: BuildEvent): void => {
    tally.see(event);
    void job.emit(event);
  };
  const damaged = new DamagedBlobs(node.content, job.retain);
  const pending = new PendingBlobs(damaged.watched);
  const { content } = pending;
  const standIns = new Set<string>();
  const images = new Images({
    ...job,
    ...node,
    content,
    pull: job.request.pull,
    onStandIn: (name) => {
      // Every platform of a build asks for it.
      if (standIns.has(name)) return;
      standIns.add(name);
      report({ type: 'warning', atMs: node.clock.nowMs(), message: standInMessage(name) });
    },
    onPulled,
    report,
  });
  const sources = new Sources({ node: { ...node, content }, job, images, sent, contexts: job.contexts, onPulled });
  const telling: Telling = {
    report: (event) => {
      tally.see(event);
      return job.emit(event);
    },
    recall: (event) => tally.see(event),
    onPulled,
    onLost: (blobs) => damaged.note(blobs),
  };
  return { tally, placed, sent, report, telling, damaged, pending, content, images, sources };
}

function standInMessage(name: string): string {
  return `${name}: the registry cannot be reached; a stand-in made by the embedded farm is used`;
}

/** The same, with what the build is of. */
export interface Opened extends Outside {
  readonly dockerfile: DockerfileSource;
  readonly local: LocalRef;
  readonly ignore: IgnoreRules;
  readonly linked: LinkedBuilds;
  readonly logs: StepLogs;
  readonly startedAtMs: number;
}
