import { GraphSolver, type SolveOptions } from './graph-solver.ts';
import type { VertexFailure } from './vertex-failure.ts';

/** A graph whose steps have all run; what they made may still be on its way into the cache. */
export interface Solved<R> extends AsyncDisposable {
  /** in the definition's order */
  readonly roots: readonly R[];
  /** Resolves when every result is stored and recorded. @throws VertexFailure for the first that cannot be */
  readonly settled: () => Promise<void>;
  /** of the first result that could not be stored or recorded, by now */
  readonly failure: () => VertexFailure | undefined;
}

/**
 * Brings a definition to its roots' results: one look-up of all definition keys, then what is not hit from the leaves up,
 * independent parts in parallel, content keys before every run. What ran is stored and recorded beside all else, and also
 * when another step fails; whoever disposes of it before it has settled gives that up.
 * @throws ResultLost when what is given is not there, VertexFailure for the first vertex that fails; all others have ended by then
 */
export async function solve<R>(options: SolveOptions<R>): Promise<Solved<R>> {
  const [stop, drop] = [new AbortController(), new AbortController()];
  const saving = AbortSignal.any([options.signal, drop.signal]);
  const solver = new GraphSolver({ ...options, signal: AbortSignal.any([saving, stop.signal]), saving });
  const orEnd = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      stop.abort(thrown);
      await solver.ended();
      options.signal.throwIfAborted();
      throw thrown;
    }
  };
  const roots = await orEnd(solver.roots());
  return {
    roots,
    settled: () => orEnd(solver.settled()),
    failure: () => solver.failure,
    async [Symbol.asyncDispose]() {
      drop.abort(new Error('nobody waits for what was solved'));
      await solver.ended();
    },
  };
}
