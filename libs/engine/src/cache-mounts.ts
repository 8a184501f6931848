import type { ContentStore } from '#content';
import type { IdShift } from '#snapshot';
import { type Clock, KilnError, type Logger, messageOf, once, type Random } from '#std';
import { CacheMountFolder } from './cache-mount-folder.ts';
import { FarmLocks } from './farm-locks.ts';
import { MountContent } from './mount-content.ts';
import {
  type CacheMountRequest,
  type CacheMountUse,
  keyOf,
  type MountCopy,
  mountOf,
  type Pending,
} from './mount-copy.ts';
import { MountPublisher } from './mount-publisher.ts';
import type { RoomUse } from './snapshot-room.ts';

export type { CacheMountRequest, CacheMountUse } from './mount-copy.ts';

/** A step's hold on a cache mount: it is not removed meanwhile, and exclusive where that was asked for. */
export interface CacheHold extends AsyncDisposable {
  readonly path: string;
  /** The step has succeeded: what it leaves is published once the hold has ended. */
  succeeded(): void;
}

export interface CacheMountsOptions {
  readonly dir: string;
  /** of all together; those used least recently go first */
  readonly maxBytes: number;
  /** one with more than this is not published; 0: none is */
  readonly publishMaxBytes: number;
  readonly content: ContentStore;
  readonly shift: IdShift;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly lockWaitMs?: number | undefined;
}

const LOCK_WAIT_MS = 15 * 60_000;
/** A directory that is always in use is published all the same: then steps wait until it is read. */
const MAX_INTERRUPTIONS = 3;
/** What is being published when this node ends has as long as this. */
const FLUSH_MS = 20_000;

/**
 * Directories that live from build to build on this node. `shared` ones are used by many at a time, `locked` ones by one
 * after the other, and a `private` one gets a copy of its own when another is in use. Between nodes they go as versions:
 * a step finds the newest one, and what it leaves becomes the next.
 */
export class CacheMounts implements AsyncDisposable {
  readonly #options: CacheMountsOptions;
  readonly #folder: CacheMountFolder;
  readonly #copies = new Map<string, MountCopy[]>();
  readonly #waiting = new Map<string, Set<() => void>>();
  /** never used twice: what is being removed and what is being made have paths of their own */
  #lastNumber = 0;
  #tidying: Promise<void> = Promise.resolve();
  #publishing: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #content: MountContent;
  readonly #publisher: MountPublisher;
  readonly #locks: FarmLocks;

  private constructor(options: CacheMountsOptions, folder: CacheMountFolder) {
    this.#options = options;
    this.#folder = folder;
    this.#content = new MountContent({ ...options, folder });
    const { publishMaxBytes: maxBytes } = options;
    const made = this.#content;
    this.#publisher = new MountPublisher({ ...options, folder, made, maxBytes, closing: this.#closing.signal });
    this.#locks = new FarmLocks(options.clock, options.random);
    for (const found of folder.found) {
      this.#lastNumber = Math.max(this.#lastNumber, found.number);
      this.#add({ ...unused, ...found, made: true });
    }
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** What they take, as it was measured when each was last let go, and what they may. */
  get use(): RoomUse {
    return { bytes: sizeOf([...this.#copies.values()].flat()), maxBytes: this.#options.maxBytes };
  }

  /** Takes up what an earlier process left. */
  static async open(options: CacheMountsOptions): Promise<CacheMounts> {
    return new CacheMounts(options, await CacheMountFolder.open(options.dir));
  }

  /** @throws KilnError STEP_FAILED when a locked one stays in use for too long; what `fill` throws */
  async acquire(request: CacheMountRequest, use: CacheMountUse): Promise<CacheHold> {
    const key = keyOf(request);
    const take = (): MountCopy | undefined => this.#take(key, request, use);
    const copy = take() ?? (await this.#wait(key, request, use, take));
    let unlock = async (): Promise<void> => {};
    try {
      unlock = await this.#lock(key, request, use);
      await copy.ready();
    } catch (thrown) {
      this.#drop(copy);
      await unlock();
      // Another step was cancelled while it made what this one would use too.
      if (copy.maker !== use && !use.signal.aborted) return await this.acquire(request, use);
      throw thrown;
    }
    if (copy.tooLarge?.told === false) {
      copy.tooLarge.told = true;
      use.note(`cache mount ${request.id}: stays on this builder, ${copy.tooLarge.why}`);
    }
    const { versions } = use;
    let pending: Pending | undefined;
    return {
      path: this.#folder.data(key, copy.number),
      succeeded: () => {
        if (versions !== undefined && this.#options.publishMaxBytes > 0)
          pending ??= { request, versions, release: unlock };
      },
      [Symbol.asyncDispose]: once(async () => {
        this.#release(copy, pending);
        if (pending === undefined) await unlock();
      }),
    };
  }

  /** Resolves when all that steps have left up to now is published, or given up. */
  async published(): Promise<void> {
    await this.#publishing;
  }

  /** What is being published gets some time to end; then it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const published = new AbortController();
    const late = this.#options.clock.sleep(FLUSH_MS, published.signal).catch(() => undefined);
    await Promise.race([this.published(), late]);
    published.abort();
    this.#closing.abort(new KilnError('CANCELLED', 'the builder ends'));
    await this.#publishing;
    await this.#tidying;
  }

  /** A locked one is this step's alone on all nodes, too. */
  async #lock(key: string, request: CacheMountRequest, use: CacheMountUse): Promise<() => Promise<void>> {
    const { versions, signal, note } = use;
    if (request.sharing !== 'locked' || versions === undefined) return async () => {};
    const limitMs = this.#options.lockWaitMs ?? LOCK_WAIT_MS;
    return await this.#locks.take(key, mountOf(request), {
      ...{ versions, signal, limitMs },
      onWait: () => note(waiting(request.id, 'a step on another builder')),
      refuse: () => inUseTooLong(request.id, limitMs),
    });
  }

  /** What the first to use it does: the newest version is there when it resolves. */
  async #prepare(copy: MountCopy, request: CacheMountRequest, use: CacheMountUse): Promise<void> {
    const { scan } = copy;
    if (scan !== undefined) {
      if (copy.interruptions++ < MAX_INTERRUPTIONS) scan.stop.abort(new KilnError('CANCELLED', 'a step came'));
      await scan.done;
    }
    use.signal.throwIfAborted();
    await (copy.made ? this.#content.refresh(copy, request, use) : this.#content.create(copy, request, use));
  }

  /** Without waiting, so that no two steps come to hold what only one may. */
  #take(key: string, request: CacheMountRequest, use: CacheMountUse): MountCopy | undefined {
    const { sharing, id, owner } = request;
    const copies = this.#copies.get(key) ?? [];
    const free = copies.find(({ users }) => users === 0);
    const [first] = copies;
    if (sharing === 'locked' && first !== undefined && first.users > 0) return undefined;
    const chosen =
      sharing === 'locked'
        ? first
        : sharing === 'shared'
          ? (copies.find(({ users, exclusive }) => users > 0 && !exclusive) ?? free)
          : free;
    const copy = chosen ?? this.#add({ ...unused, key, number: ++this.#lastNumber, id, scope: owner });
    if (copy.users === 0) {
      copy.maker = use;
      copy.ready = once(() => this.#prepare(copy, request, use));
    }
    copy.users++;
    copy.exclusive = sharing !== 'shared';
    return copy;
  }

  #add(copy: MountCopy): MountCopy {
    const copies = [...(this.#copies.get(copy.key) ?? []), copy].sort((a, b) => a.number - b.number);
    this.#copies.set(copy.key, copies);
    return copy;
  }

  async #wait(
    key: string,
    { id }: CacheMountRequest,
    { signal, note }: CacheMountUse,
    take: () => MountCopy | undefined,
  ): Promise<MountCopy> {
    const { clock, lockWaitMs = LOCK_WAIT_MS } = this.#options;
    note(waiting(id, 'another step'));
    const untilMs = clock.nowMs() + lockWaitMs;
    for (;;) {
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0) {
        throw inUseTooLong(id, lockWaitMs);
      }
      await this.#freed(key, leftMs, signal);
      const copy = take();
      if (copy !== undefined) return copy;
    }
  }

  /** Resolves when a copy was released, or after `ms`. */
  async #freed(key: string, ms: number, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    const done = new AbortController();
    const rung = Promise.withResolvers<void>();
    waiting.add(rung.resolve);
    try {
      const either = AbortSignal.any([signal, done.signal]);
      await Promise.race([rung.promise, this.#options.clock.sleep(ms, either).catch(() => undefined)]);
      signal.throwIfAborted();
    } finally {
      done.abort();
      waiting.delete(rung.resolve);
      if (waiting.size === 0) this.#waiting.delete(key);
    }
  }

  #release(copy: MountCopy, left: Pending | undefined): void {
    copy.usedAtMs = this.#options.clock.nowMs();
    copy.users--;
    if (copy.users === 0) copy.exclusive = false;
    for (const ring of this.#waiting.get(copy.key) ?? []) ring();
    const earlier = left === undefined ? undefined : copy.pending;
    copy.pending = left ?? copy.pending;
    this.#publishing = this.#publishing.then(() => this.#publisher.publish(copy, earlier));
    this.#tidying = this.#tidying.then(() => this.#tidy(copy));
  }

  /** One that could not be made is none. */
  #drop(copy: MountCopy): void {
    copy.users--;
    if (!copy.made) this.#forget(copy);
    for (const ring of this.#waiting.get(copy.key) ?? []) ring();
  }

  #forget(copy: MountCopy): void {
    const others = (this.#copies.get(copy.key) ?? []).filter((other) => other !== copy);
    if (others.length === 0) this.#copies.delete(copy.key);
    else this.#copies.set(copy.key, others);
  }

  /** What it takes now is counted, and what is too much is removed. A failure costs room, nothing else. */
  async #tidy(copy: MountCopy): Promise<void> {
    const { logger, maxBytes } = this.#options;
    try {
      if (this.#copies.get(copy.key)?.includes(copy) !== true) return;
      copy.sizeBytes = await this.#folder.measure(copy.key, copy.number);
      await this.#content.describe(copy);
      const all = [...this.#copies.values()].flat();
      let total = sizeOf(all);
      for (const oldest of all.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
        if (total <= maxBytes) return;
        if (oldest.users > 0 || oldest.pending !== undefined || oldest.uploading) continue;
        // Out of the map first: from now on nobody takes it.
        this.#forget(oldest);
        total -= oldest.sizeBytes;
        await this.#folder.remove(oldest.key, oldest.number);
        logger.info('a cache mount was removed to make room', { id: oldest.id, sizeBytes: oldest.sizeBytes });
      }
    } catch (thrown) {
      logger.warn('a cache mount could not be looked after', { id: copy.id, error: messageOf(thrown) });
    }
  }
}

const sizeOf = (copies: readonly MountCopy[]): number => copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

const unused = {
  ready: () => Promise.resolve(),
  maker: undefined,
  made: false,
  torn: false,
  users: 0,
  exclusive: false,
  usedAtMs: 0,
  sizeBytes: 0,
  base: undefined,
  behind: false,
  pending: undefined,
  scan: undefined,
  interruptions: 0,
  uploading: false,
  tooLarge: undefined,
};

const waiting = (id: string, who: string): string =>
  `waiting for the cache mount ${JSON.stringify(id)}, which ${who} has locked`;

function inUseTooLong(id: string, ms: number): KilnError {
  const minutes = Math.round(ms / 60_000);
  return new KilnError(
    'STEP_FAILED',
    `the cache mount ${JSON.stringify(id)} was in use by other steps for ${minutes} minutes`,
    { hint: 'with sharing=shared or sharing=private a step does not wait for others' },
  );
}
