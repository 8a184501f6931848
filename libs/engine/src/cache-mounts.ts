import { type Digest, digestOf, hexOf } from '#oci';
import { canonicalJson, type Clock, KilnError, type Logger, messageOf, once } from '#std';
import { CacheMountFolder } from './cache-mount-folder.ts';

/** Which cache is meant. Two that differ in anything but `sharing` share nothing. */
export interface CacheMountRequest {
  /** project and scope: nobody else sees what is in it */
  readonly owner: string;
  /** as the Dockerfile has it */
  readonly id: string;
  /** what it begins with; undefined for nothing */
  readonly seed: Digest | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly sharing: 'shared' | 'private' | 'locked';
}

export interface CacheMountUse {
  /** makes a new one's directory what it is to begin with */
  readonly fill: (data: string) => Promise<void>;
  readonly signal: AbortSignal;
  /** called once when it has to be waited for */
  readonly onWait: () => void;
}

/** A step's hold on a cache mount: it is not removed meanwhile, and exclusive where that was asked for. */
export interface CacheHold extends AsyncDisposable {
  readonly path: string;
}

export interface CacheMountsOptions {
  readonly dir: string;
  /** of all together; those used least recently go first */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lockWaitMs?: number | undefined;
}

interface Copy {
  readonly key: string;
  readonly number: number;
  readonly id: string;
  readonly scope: string;
  readonly ready: () => Promise<void>;
  /** for whom it was made; undefined for what was found */
  readonly maker: CacheMountUse | undefined;
  users: number;
  exclusive: boolean;
  usedAtMs: number;
  sizeBytes: number;
}

const LOCK_WAIT_MS = 15 * 60_000;

/**
 * Directories that live from build to build on this node. `shared` ones are used by many at a time, `locked` ones by one
 * after the other, and a `private` one gets a copy of its own when another is in use.
 */
export class CacheMounts implements AsyncDisposable {
  readonly #options: CacheMountsOptions;
  readonly #folder: CacheMountFolder;
  readonly #copies = new Map<string, Copy[]>();
  readonly #waiting = new Map<string, Set<() => void>>();
  /** never used twice: what is being removed and what is being made have paths of their own */
  #lastNumber = 0;
  #tidying: Promise<void> = Promise.resolve();

  private constructor(options: CacheMountsOptions, folder: CacheMountFolder) {
    this.#options = options;
    this.#folder = folder;
    for (const found of folder.found) {
      this.#lastNumber = Math.max(this.#lastNumber, found.number);
      this.#add({ ...found, ready: () => Promise.resolve(), maker: undefined, users: 0, exclusive: false });
    }
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** Takes up what an earlier process left. */
  static async open(options: CacheMountsOptions): Promise<CacheMounts> {
    return new CacheMounts(options, await CacheMountFolder.open(options.dir));
  }

  /** @throws KilnError STEP_FAILED when a locked one stays in use for too long; what `fill` throws */
  async acquire(request: CacheMountRequest, use: CacheMountUse): Promise<CacheHold> {
    const key = keyOf(request);
    const copy =
      this.#take(key, request, use) ?? (await this.#wait(key, request, use, () => this.#take(key, request, use)));
    try {
      await copy.ready();
    } catch (thrown) {
      this.#drop(copy);
      // Another step was cancelled while it made what this one would use too.
      if (copy.maker !== use && !use.signal.aborted) return await this.acquire(request, use);
      throw thrown;
    }
    const release = once(() => this.#release(copy));
    return { path: this.#folder.data(key, copy.number), [Symbol.asyncDispose]: release };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tidying;
  }

  /** Without waiting, so that no two steps come to hold what only one may. */
  #take(key: string, { sharing, id, owner }: CacheMountRequest, use: CacheMountUse): Copy | undefined {
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
    const copy = chosen ?? this.#add({ ...this.#newCopy(key, use), id, scope: owner });
    copy.users++;
    copy.exclusive = sharing !== 'shared';
    return copy;
  }

  #newCopy(key: string, maker: CacheMountUse): Omit<Copy, 'id' | 'scope'> {
    const number = ++this.#lastNumber;
    const ready = once(() => this.#folder.create(key, number, maker.fill));
    return { key, number, ready, maker, users: 0, exclusive: false, usedAtMs: 0, sizeBytes: 0 };
  }

  #add(copy: Copy): Copy {
    const copies = [...(this.#copies.get(copy.key) ?? []), copy].sort((a, b) => a.number - b.number);
    this.#copies.set(copy.key, copies);
    return copy;
  }

  async #wait(
    key: string,
    { id }: CacheMountRequest,
    { signal, onWait }: CacheMountUse,
    take: () => Copy | undefined,
  ): Promise<Copy> {
    const { clock, lockWaitMs = LOCK_WAIT_MS } = this.#options;
    onWait();
    const untilMs = clock.nowMs() + lockWaitMs;
    for (;;) {
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0) {
        throw new KilnError(
          'STEP_FAILED',
          `the cache mount ${JSON.stringify(id)} was in use by other steps for ${Math.round(lockWaitMs / 60_000)} minutes`,
          { hint: 'with sharing=shared or sharing=private a step does not wait for others' },
        );
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

  async #release(copy: Copy): Promise<void> {
    copy.usedAtMs = this.#options.clock.nowMs();
    copy.users--;
    if (copy.users === 0) copy.exclusive = false;
    for (const ring of this.#waiting.get(copy.key) ?? []) ring();
    this.#tidying = this.#tidying.then(() => this.#tidy(copy));
  }

  /** One that could not be made is none. */
  #drop(copy: Copy): void {
    copy.users--;
    this.#forget(copy);
    for (const ring of this.#waiting.get(copy.key) ?? []) ring();
  }

  #forget(copy: Copy): void {
    const others = (this.#copies.get(copy.key) ?? []).filter((other) => other !== copy);
    if (others.length === 0) this.#copies.delete(copy.key);
    else this.#copies.set(copy.key, others);
  }

  /** What it takes now is counted, and what is too much is removed. A failure costs room, nothing else. */
  async #tidy(copy: Copy): Promise<void> {
    const { logger, maxBytes } = this.#options;
    try {
      if (this.#copies.get(copy.key)?.includes(copy) !== true) return;
      copy.sizeBytes = await this.#folder.measure(copy.key, copy.number);
      const { id, scope, usedAtMs, sizeBytes } = copy;
      await this.#folder.describe(copy.key, copy.number, { id, scope, usedAtMs, sizeBytes });
      const all = [...this.#copies.values()].flat();
      let total = all.reduce((sum, { sizeBytes: size }) => sum + size, 0);
      for (const oldest of all.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
        if (total <= maxBytes) return;
        if (oldest.users > 0) continue;
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

function keyOf({ owner, id, seed, mode, uid, gid }: CacheMountRequest): string {
  return hexOf(digestOf(canonicalJson({ v: 1, owner, id, seed, mode, uid, gid })));
}
