import type { CacheKey, Flight, Flights } from '#cache';
import type { Op, Vertex } from '#graph';
import type { BuildEvent } from '#protocol';
import type { Joined } from '#solver';
import { StepExit } from './run-exec.ts';
import type { StepLogs } from './step-logs.ts';

/** The steps that the farm's builds run, with what these tell of them. */
export interface FarmFlights extends Flights {
  /** Hands on what a flight's build tells of the step, in order, from the step's beginning; resolves when the flight has ended. */
  follow(
    key: CacheKey,
    flight: Flight,
    onEvent: (event: BuildEvent) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface Following {
  readonly flights: FarmFlights;
  readonly logs: StepLogs;
  readonly signal: AbortSignal;
}

/** Waits for a step that another build runs: its log becomes this build's own. See `OpRunner.follow`. */
export async function followFlight(
  { digest, op }: Vertex,
  { key, flight }: Joined,
  { flights, logs, signal }: Following,
): Promise<boolean> {
  let done = false;
  let exit: StepExit | undefined;
  const tell = async (event: BuildEvent): Promise<void> => {
    if (event.type === 'log') return await logs.write(digest, event.stream, Buffer.from(event.text));
    if (event.type === 'vertexStarted') exit = undefined;
    if (event.type === 'vertexDone') done = true;
    if (event.type === 'vertexFailed' && event.exitCode !== undefined)
      exit = new StepExit(event.exitCode, event.message);
  };
  await logs.remark(digest, `waiting for build ${flight.buildId}, which runs this step`);
  try {
    await flights.follow(key, flight, tell, signal);
  } finally {
    await logs.end(digest);
  }
  signal.throwIfAborted();
  if (exit !== undefined && seesMoreThanItsKey(op)) {
    await logs.remark(digest, `build ${flight.buildId} failed in this step, which may be for what it alone gave to it`);
    return false;
  }
  if (exit !== undefined) throw exit;
  if (!done) await logs.remark(digest, `build ${flight.buildId} has left this step`);
  return true;
}

/** Whether two builds with the same key may have run it on different things: their failures are their own. */
function seesMoreThanItsKey(op: Op): boolean {
  const mounts = op.kind === 'exec' ? (op.mounts ?? []) : [];
  return mounts.some(
    (mount) => mount.type === 'ssh' || mount.type === 'cache' || (mount.type === 'secret' && mount.keyed === undefined),
  );
}

/** Of a process that the kernel, or a person, has killed. */
const SIGKILLED = 137;

/** See `OpRunner.exitCode`: not where the node's memory or disk ended the process (then there is a hint), nor where it was killed. */
export function ownExitCode(thrown: unknown): number | undefined {
  return thrown instanceof StepExit && thrown.hint === undefined && thrown.exitCode !== SIGKILLED
    ? thrown.exitCode
    : undefined;
}
