import type { BuildSession } from '#engine';
import { parseDigest } from '#oci';
import type { SealedParts } from '#protocol';
import { type Clock, keyedDigest, systemRandom } from '#std';
import { type RedisLink, SessionCaller } from '#storage';

export interface ClientSessionOptions {
  readonly redis: RedisLink;
  readonly clock: Clock;
  readonly buildId: string;
  /** ids of the agents that the client forwards */
  readonly ssh: readonly string[];
  readonly secrets: SealedParts['secrets'];
  readonly projectId: string;
  /** of the farm */
  readonly secretKey: Uint8Array;
}

/** What a client lends to its build: secrets that came sealed with it, and agents that it answers for while it is there. */
export function clientSession({
  redis,
  clock,
  buildId,
  ssh,
  secrets: given,
  projectId,
  secretKey,
}: ClientSessionOptions): BuildSession & Disposable {
  // Most builds ask nothing.
  let opened: SessionCaller | undefined;
  const caller = (): SessionCaller => (opened ??= new SessionCaller({ redis, buildId, clock, random: systemRandom }));
  const secrets = new Map(Object.entries(given).map(([id, value]) => [id, Buffer.from(value, 'base64')]));
  return {
    secrets,
    secretDigest(id) {
      const value = secrets.get(id);
      return value === undefined
        ? undefined
        : parseDigest(`sha256:${keyedDigest(secretKey, `secret:${projectId}:${id}`, value)}`);
    },
    agent: (id) =>
      ssh.includes(id)
        ? {
            ready: (signal) => caller().ready(id, signal),
            ask: (message, signal) => caller().ask(id, message, signal),
          }
        : undefined,
    files: (digests, signal) => caller().files(digests, signal),
    [Symbol.dispose]: () => opened?.[Symbol.dispose](),
  };
}
