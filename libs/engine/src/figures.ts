import type { BuildResult } from '#protocol';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { Tally } from './tally.ts';

export interface Figuring {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly tally: Tally;
  readonly startedAtMs: number;
}

/** What a build has come to by now. */
export function figuresOf({ node, job, tally, startedAtMs }: Figuring): Figures {
  return {
    steps: tally.counts(),
    bytes: {
      contextSent: job.contextSentBytes + tally.sentBytes,
      pulled: tally.pulledBytes,
      pushed: tally.pushedBytes,
    },
    durationMs: node.clock.nowMs() - startedAtMs,
    savedMs: tally.savedMs(),
  };
}

export type Figures = Pick<BuildResult, 'steps' | 'bytes' | 'durationMs' | 'savedMs'>;
