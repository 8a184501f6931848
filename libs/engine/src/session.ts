import type { Digest } from '#oci';
import { KilnError } from '#std';

/** One of the client's ssh agents, wherever it is. */
export interface ClientAgent {
  /** Resolves when the client is there to answer. @throws KilnError STEP_FAILED when it has left, or does not come */
  ready(signal: AbortSignal): Promise<void>;
  /**
   * Answers one message of the agent protocol, without its length in front.
   * @throws KilnError STEP_FAILED when the client has left
   */
  ask(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** What a client lends to its build, and what is kept nowhere. */
export interface BuildSession {
  /** by id */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** over a secret's value, under a key of the farm's; undefined for one that the client did not give */
  secretDigest(id: string): Digest | undefined;
  /** by id; undefined for one that the client does not forward */
  agent(id: string): ClientAgent | undefined;
  /**
   * Has the client send files of its contexts; resolves when they are with the farm.
   * @throws KilnError CONTEXT_INVALID when it has left, or cannot
   */
  files(digests: readonly Digest[], signal: AbortSignal): Promise<void>;
}

export const noSession: BuildSession = {
  secrets: new Map(),
  secretDigest: () => undefined,
  agent: () => undefined,
  files: () => Promise.reject(new KilnError('CONTEXT_INVALID', 'files of the context did not come with the build')),
};
