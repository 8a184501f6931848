import type { Vertex } from '#graph';
import { KilnError, messageOf } from '#std';

/** A step that failed, named: the solver's own addition to what the runner threw. */
export class VertexFailure extends Error {
  override readonly name = 'VertexFailure';
  constructor(
    readonly vertex: Vertex,
    override readonly cause: unknown,
  ) {
    super(`${vertex.label.name}: ${messageOf(cause)}`, { cause });
  }
}

/** A result that was to be there is gone: what is solved again does without it. */
export class ResultLost extends KilnError {
  constructor(message: string, cause?: unknown) {
    super('BLOB_MISSING', message, { cause });
  }
}
