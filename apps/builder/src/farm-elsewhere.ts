import { type BuildQueue, HEARTBEAT_TTL_MS } from '#dispatch';
import { type Elsewhere, encodePart, type PartEvent, PartFailure, type PinnedPart } from '#engine';
import type { NodePlatforms } from '#executor';
import { digestOf, formatPlatform, parsePlatform } from '#oci';
import { type BuildEvent, type BuildResult, isFinal, type QueuedBuild, type SealedParts } from '#protocol';
import { type Clock, KilnError, type Logger, messageOf, type Random, randomId, seal } from '#std';
import type { BuilderRegistry, BuildLedger, Claim, EventFeed } from '#storage';
import type { Patience } from './patience.ts';

export interface FarmElsewhereOptions {
  readonly builderId: string;
  readonly claim: Claim;
  readonly secretKey: Uint8Array;
  /** of the claimed build */
  readonly sealed: SealedParts;
  readonly ledger: BuildLedger;
  readonly builders: BuilderRegistry;
  readonly feed: EventFeed;
  readonly parts: BuildQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly wait: Patience;
}

const ID_LENGTH = 20;
/** How often it is asked whether anybody is still there who could run the part. */
const LOOK_MS = 2_000;

type Listener = (told: PartEvent) => void | Promise<void>;

/** What the rest of the farm does for one build: parts, each a build that this one waits for. */
export class FarmElsewhere implements Elsewhere {
  readonly #options: FarmElsewhereOptions;
  /** numbers of the last events that were handed on, of parts that have not ended */
  readonly #told = new Map<string, number>();

  constructor(options: FarmElsewhereOptions) {
    this.#options = options;
  }

  async builders(): Promise<readonly NodePlatforms[]> {
    const { builders, builderId, wait } = this.#options;
    const live = await wait(() => builders.list(HEARTBEAT_TTL_MS));
    return live
      .filter(({ id, state }) => id !== builderId && state === 'ready')
      .flatMap(({ platforms, emulated }) => {
        const [first, ...more] = platforms.map(parsePlatform);
        return first === undefined
          ? []
          : [{ native: [first, ...more] as const, emulated: emulated.map(parsePlatform) }];
      });
  }

  async run(part: PinnedPart, onEvent: Listener, signal: AbortSignal): Promise<BuildResult | undefined> {
    const { claim, feed, ledger, logger, wait } = this.#options;
    const text = encodePart(part);
    const id = randomId(this.#options.random, ID_LENGTH);
    const build = await wait(() =>
      ledger.createPart(claim, {
        id,
        platform: formatPlatform(part.platform),
        part: text,
        fingerprint: digestOf(text),
        sealed: this.#seal(id),
      }),
    );
    const { buildId } = build;
    const isNew = buildId === id;
    // What an earlier attempt, or an earlier solve, has told of is not told again.
    if (!isNew && !this.#told.has(buildId))
      this.#told.set(buildId, await wait(() => feed.lastFrom(claim.buildId, buildId)));
    logger.info('steps go to another builder', { part: buildId, platform: build.platform, isNew });
    try {
      await this.#options.parts.add([build]);
    } catch (thrown) {
      logger.warn('a part is not in the queue yet', { error: messageOf(thrown) });
    }
    const gone = new AbortController();
    const ended = new AbortController();
    const looking = this.#look(build, gone, AbortSignal.any([signal, ended.signal]));
    try {
      const final = await this.#follow(buildId, onEvent, AbortSignal.any([signal, gone.signal]));
      signal.throwIfAborted();
      if (final !== undefined) return finish(final);
      await wait(() => ledger.requestCancel(claim.projectId, buildId));
      return undefined;
    } finally {
      ended.abort();
      await looking;
    }
  }

  /** Everything that the part tells, to its end; undefined when aborted before. */
  async #follow(part: string, onEvent: Listener, signal: AbortSignal): Promise<BuildEvent | undefined> {
    const { feed, wait } = this.#options;
    const told = this.#told.get(part) ?? 0;
    let seen = 0;
    return await wait(async () => {
      for await (const { seq, event } of feed.watch(part, seen, signal)) {
        seen = seq;
        if (isFinal(event)) {
          this.#told.delete(part);
          return event;
        }
        this.#told.set(part, Math.max(told, seq));
        await onEvent({ event, from: { part, seq }, known: seq <= told });
      }
      return undefined;
    });
  }

  /** Aborts `gone` once nobody is left who runs or could run it. */
  async #look({ buildId, platform = '' }: QueuedBuild, gone: AbortController, until: AbortSignal): Promise<void> {
    const { builders, clock, logger } = this.#options;
    while (!until.aborted) {
      await clock.sleep(LOOK_MS, until).catch(() => undefined);
      try {
        if (until.aborted || (await builders.fittest(platform, HEARTBEAT_TTL_MS)) !== null) continue;
        // One that takes no more goes on with what it has.
        if (!(await builders.isAtWork(buildId, HEARTBEAT_TTL_MS))) return gone.abort();
      } catch (thrown) {
        logger.warn('cannot tell which builders are there', { error: messageOf(thrown) });
      }
    }
  }

  #seal(id: string): Uint8Array | null {
    const { sealed, secretKey, random } = this.#options;
    if (Object.values(sealed).every((part) => Object.keys(part).length === 0)) return null;
    return seal(secretKey, `build:${id}`, Buffer.from(JSON.stringify(sealed)), random);
  }
}

function finish(final: BuildEvent): BuildResult {
  if (final.type === 'succeeded') return final.result;
  if (final.type === 'failed') throw new PartFailure(final.failure);
  throw new KilnError('CANCELLED', 'the part of this build that ran on another builder was cancelled');
}
