import type { Edge } from '#graph';
import { type Digest, digestOf, formatReference, parseReference } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult } from '#protocol';
import { type Part, VertexFailure } from '#solver';
import { isErrorCode, KilnError } from '#std';
import { encodePart } from './part-wire.ts';
import type { Elsewhere } from './placement.ts';
import { StepExit } from './run-exec.ts';
import type { Sources } from './sources.ts';
import type { StepLogs } from './step-logs.ts';

/**
 * Makes what a part may have to open known to its build: images, layouts, files of the web.
 * @throws KilnError IMAGE_NOT_FOUND, REGISTRY_*, and what a fetch throws
 */
export async function resolvePart({ definition, results }: Part, sources: Sources, signal: AbortSignal): Promise<void> {
  const seen = new Set<Digest>();
  const visit = async (edge: Edge): Promise<void> => {
    const vertex = definition.vertices.get(edge.vertex);
    // What a given result stands on is not looked at.
    if (vertex === undefined || seen.has(edge.vertex) || results.has(edge.vertex)) return;
    seen.add(edge.vertex);
    if (vertex.op.kind === 'image') {
      const { reference, digest } = vertex.op;
      if (!(await sources.adoptLayout(reference, digest, vertex.platform, signal)))
        await sources.resolve(formatReference({ ...parseReference(reference), digest }), vertex.platform, signal);
    } else if (vertex.op.kind === 'http') {
      // Known by its digest: nobody is asked while the project has the bytes.
      await sources.file({ url: vertex.op.url, checksum: vertex.op.digest }, signal);
    }
    for (const input of vertex.inputs) await visit(input);
  };
  for (const root of definition.roots) await visit(root);
}

/** A part makes records, and nothing else: its digest stands where other builds have their image's. */
export function partResult(part: Part): Pick<BuildResult, 'configDigest' | 'names' | 'outputs'> {
  return { configDigest: digestOf(encodePart(part)), names: [], outputs: [] };
}

export interface Delegating {
  readonly elsewhere: Elsewhere;
  readonly logs: StepLogs;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

/** Runs a part on another builder as if it ran here: its steps' events become this build's own. */
export async function delegatePart(part: Part, { elsewhere, logs, report, signal }: Delegating): Promise<boolean> {
  const tell = async (event: BuildEvent): Promise<void> => {
    if (!('vertex' in event) || event.vertex === undefined || !part.steps.has(event.vertex)) return;
    if (event.type === 'log') return await logs.write(event.vertex, event.stream, Buffer.from(event.text));
    // What was held back, as it might have become a secret.
    if (event.type === 'vertexDone' || event.type === 'vertexFailed') await logs.end(event.vertex);
    report(event);
  };
  try {
    return await elsewhere.run(part, tell, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const vertex = thrown instanceof PartFailure && thrown.vertex && part.definition.vertices.get(thrown.vertex);
    throw vertex ? new VertexFailure(vertex, thrown.cause) : thrown;
  }
}

/** A part that ended without success. */
export class PartFailure extends Error {
  override readonly name = 'PartFailure';
  override readonly cause: KilnError;
  readonly vertex: BuildFailure['vertex'];

  constructor({ code, message, hint, exitCode, vertex }: BuildFailure) {
    super(message);
    this.vertex = vertex;
    this.cause =
      exitCode === undefined
        ? new KilnError(isErrorCode(code) ? code : 'INTERNAL', message, { hint })
        : new StepExit(exitCode, message, hint);
  }
}
