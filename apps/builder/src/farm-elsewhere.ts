import { type BuildQueue, HEARTBEAT_TTL_MS } from '#dispatch';
import { type Elsewhere, encodePart, PartFailure } from '#engine';
import type { NodePlatforms } from '#executor';
import { digestOf, formatPlatform, parsePlatform } from '#oci';
import { type BuildEvent, isFinal, type SealedParts } from '#protocol';
import type { Part } from '#solver';
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

/** What the rest of the farm does for one build: parts, each a build that this one waits for. */
export class FarmElsewhere implements Elsewhere {
  readonly #options: FarmElsewhereOptions;

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

  async run(part: Part, onEvent: (event: BuildEvent) => void | Promise<void>, signal: AbortSignal): Promise<boolean> {
    const { claim, ledger, logger, wait } = this.#options;
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
    logger.info('steps go to another builder', { part: build.buildId, platform: build.platform });
    try {
      await this.#options.parts.add([build]);
    } catch (thrown) {
      logger.warn('a part is not in the queue yet', { error: messageOf(thrown) });
    }
    const gone = new AbortController();
    const ended = new AbortController();
    const looking = this.#look(formatPlatform(part.platform), gone, AbortSignal.any([signal, ended.signal]));
    try {
      const final = await this.#follow(build.buildId, onEvent, AbortSignal.any([signal, gone.signal]));
      signal.throwIfAborted();
      if (final !== undefined) return finish(final);
      await wait(() => ledger.requestCancel(claim.projectId, build.buildId));
      return false;
    } finally {
      ended.abort();
      await looking;
    }
  }

  /** Everything that the part tells, to its end; undefined when aborted before. */
  async #follow(
    buildId: string,
    onEvent: (event: BuildEvent) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<BuildEvent | undefined> {
    const { feed, wait } = this.#options;
    let seen = 0;
    return await wait(async () => {
      for await (const { seq, event } of feed.watch(buildId, seen, signal)) {
        seen = seq;
        if (isFinal(event)) return event;
        await onEvent(event);
      }
      return undefined;
    });
  }

  /** Aborts `gone` once nobody is left who could run it. */
  async #look(platform: string, gone: AbortController, until: AbortSignal): Promise<void> {
    const { builders, clock, logger } = this.#options;
    while (!until.aborted) {
      await clock.sleep(LOOK_MS, until).catch(() => undefined);
      try {
        if (!until.aborted && (await builders.fittest(platform, HEARTBEAT_TTL_MS)) === null) return gone.abort();
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

function finish(final: BuildEvent): true {
  if (final.type === 'succeeded') return true;
  if (final.type === 'failed') throw new PartFailure(final.failure);
  throw new KilnError('CANCELLED', 'the part of this build that ran on another builder was cancelled');
}
