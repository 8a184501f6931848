import { type Digest, digestOf } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult } from '#protocol';
import { ResultLost, VertexFailure } from '#solver';
import { isErrorCode, KilnError } from '#std';
import type { PinnedPart } from './part-pins.ts';
import { encodePart } from './part-wire.ts';
import type { Elsewhere, PartEvent } from './placement.ts';
import { StepExit } from './run-exec.ts';
import type { Sources } from './sources.ts';
import type { EventSink, StepLogs } from './step-logs.ts';

/** Makes all that a part may have to open known to it, as its build found it: nobody is asked. */
export function adoptPins({ definition, pins }: PinnedPart, sources: Sources): void {
  for (const [digest, pin] of pins.sources) {
    const vertex = definition.vertices.get(digest);
    if (vertex !== undefined) sources.adopt(vertex, pin);
  }
}

/** A part makes records, and nothing else: its digest stands where other builds have their image's. */
export function partResult(part: PinnedPart): Pick<BuildResult, 'configDigest' | 'names' | 'outputs'> {
  return { configDigest: digestOf(encodePart(part)), names: [], outputs: [] };
}

/** What a build hears of its parts. */
export interface Telling {
  readonly report: EventSink;
  /** events that have been told of already, and count all the same */
  readonly recall: (event: BuildEvent) => void;
  readonly onPulled: (bytes: number) => void;
  readonly onLost: (blobs: readonly Digest[]) => void;
}

export interface Delegating extends Telling {
  readonly elsewhere: Elsewhere;
  readonly logs: StepLogs;
  readonly signal: AbortSignal;
}

/**
 * Runs a part on another builder as if it ran here: its steps' events become this build's own.
 * @throws ResultLost when something that the part stands on is gone, VertexFailure of the step that failed
 */
export async function delegatePart(part: PinnedPart, delegating: Delegating): Promise<boolean> {
  const { elsewhere, logs, report, recall, onPulled, onLost, signal } = delegating;
  const tell = async ({ event, from, known }: PartEvent): Promise<void> => {
    if (!('vertex' in event) || event.vertex === undefined || !part.steps.has(event.vertex)) return;
    // Secrets were masked where the step ran.
    if (event.type === 'log') logs.recall(event.vertex, event.text);
    if (known) recall(event);
    else await report({ ...event, from });
  };
  try {
    const result = await elsewhere.run(part, tell, signal);
    if (result !== undefined) onPulled(result.bytes.pulled);
    return result !== undefined;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!(thrown instanceof PartFailure)) throw thrown;
    if (thrown.repair !== undefined) {
      onPulled(thrown.repair.pulled);
      onLost(thrown.repair.lost);
      throw new ResultLost(thrown.message, thrown);
    }
    const vertex = thrown.vertex && part.definition.vertices.get(thrown.vertex);
    throw vertex ? new VertexFailure(vertex, thrown.cause) : thrown.cause;
  }
}

/** A part that ended without success. */
export class PartFailure extends Error {
  override readonly name = 'PartFailure';
  override readonly cause: KilnError;
  readonly vertex: BuildFailure['vertex'];
  readonly repair: BuildFailure['repair'];

  constructor({ code, message, hint, exitCode, vertex, repair }: BuildFailure) {
    super(message);
    this.vertex = vertex;
    this.repair = repair;
    this.cause =
      exitCode === undefined
        ? new KilnError(isErrorCode(code) ? code : 'INTERNAL', message, { hint })
        : new StepExit(exitCode, message, hint);
  }
}
