import { digestOf } from '#oci';
import {
  type BuildEvent,
  type BuildFilter,
  type BuildJob,
  isFinal,
  type NumberedEvent,
  type QueuedBuild,
  type StoredRequest,
} from '#protocol';
import {
  BuildLedger,
  type Claim,
  createCacheStore,
  Database,
  EventFeed,
  openRedis,
  type Sql,
  voidClaims,
} from '#storage';
import { type Clock, isKilnError, KilnError, systemClock } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, context, createBuild, goSilent, nextId, request, startStorage, type Storage } from './farm.ts';

let storage: Storage;
let ledger: BuildLedger;
beforeAll(async () => {
  storage = await startStorage();
  ({ ledger } = storage);
});
afterAll(() => storage[Symbol.asyncDispose]());

const vertex = digestOf('v');
const log = (text: string): BuildEvent => ({ type: 'log', atMs: 1, vertex, stream: 1, text });
const cancelled = { type: 'cancelled', atMs: 9, reason: 'test' } as const;
const code =
  (...codes: Parameters<typeof isKilnError>[1][]) =>
  (thrown: unknown) =>
    isKilnError(thrown, ...codes);
const fenced = code('FENCED');
const seqs = (events: readonly NumberedEvent[]): readonly number[] => events.map(({ seq }) => seq);
/** The database has to have been up for as long as builders may be silent. */
const TTL_MS = 50;

const jobsOf = (id: string, builds: readonly QueuedBuild[]): readonly BuildJob[] =>
  builds.filter(({ buildId }) => buildId === id).map(({ buildId, attempt }) => ({ buildId, attempt }));

async function takeOver(buildId: string): Promise<readonly BuildJob[]> {
  await goSilent(storage, buildId);
  return jobsOf(buildId, await ledger.expired(TTL_MS));
}

async function giveBack(buildId: string, claim: Claim): Promise<readonly BuildJob[]> {
  await ledger.release(claim);
  return jobsOf(buildId, await ledger.queuedOlderThan(0));
}

describe('accepting', () => {
  it('keeps what was asked for, NUL and broken text included', async () => {
    const ids = await storage.projects.ensure('default', 'main');
    const id = nextId();
    const asked = request({ buildArgs: { A: 'x\u0000y' }, dockerfileText: 'FROM a\u0000\udc80', tags: ['a/b:c'] });
    const { build, created } = await ledger.create({
      ...ids,
      id,
      request: asked,
      context,
      sealed: null,
      fingerprint: 'f',
    });
    expect([created, build.state, build.attempt, build.project, build.scope]).toEqual([
      true,
      'queued',
      1,
      'default',
      'main',
    ]);
    expect(build.request).toEqual(asked);
    expect(build.context).toEqual({ digest: context.digest, files: 3, sizeBytes: 30 });
    expect((await ledger.claim(id, 1, 'one'))?.request).toEqual(asked);
    const listed = (await ledger.list(ids.projectId, { limit: 1 })).builds[0];
    expect(listed?.request).toEqual({ ...asked, dockerfileText: undefined });
  });

  it('gives one build for one idempotency key, also at the same moment', async () => {
    const ids = await storage.projects.ensure('idempotent', 'main');
    const create = (fingerprint: string, key = 'k') =>
      ledger.create({
        ...ids,
        id: nextId(),
        request: request(),
        context,
        sealed: null,
        idempotencyKey: key,
        fingerprint,
      });
    const all = await Promise.all(Array.from({ length: 8 }, () => create('same')));
    expect(new Set(all.map(({ build }) => build.id)).size).toBe(1);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    await expect(create('other')).rejects.toSatisfy(code('CONFLICT'));
    expect((await create('other', 'k2')).created).toBe(true);
    const elsewhere = await storage.projects.ensure('idempotent-2', 'main');
    const same = { id: nextId(), request: request(), context, sealed: null, idempotencyKey: 'k', fingerprint: 'other' };
    expect((await ledger.create({ ...elsewhere, ...same })).created).toBe(true);
  });

  it('shows a build to its project alone, and pages without losing any', async () => {
    const ids = await storage.projects.ensure('pages', 'main');
    const made: string[] = [];
    for (let index = 0; index < 5; index++) made.push(await createBuild(storage, 'pages'));
    const first = await ledger.list(ids.projectId, { limit: 2 });
    const second = await ledger.list(ids.projectId, { limit: 2, before: first.next ?? undefined });
    const third = await ledger.list(ids.projectId, { limit: 2, before: second.next ?? undefined });
    expect([first, second, third].flatMap(({ builds }) => builds.map(({ id }) => id))).toEqual([...made].reverse());
    expect(third.next).toBeNull();
    const other = await storage.projects.ensure('pages-other', 'main');
    const id = made[0] ?? '';
    await expect(ledger.get(other.projectId, id)).rejects.toSatisfy(code('NOT_FOUND'));
    await expect(ledger.steps(other.projectId, id)).rejects.toSatisfy(code('NOT_FOUND'));
    await expect(ledger.requestCancel(other.projectId, id)).rejects.toSatisfy(code('NOT_FOUND'));
    expect((await ledger.get(ids.projectId, id)).state).toBe('queued');
  });
});

describe('lists', () => {
  it('hold what is asked for: by state, scope, image and time', async () => {
    const main = await storage.projects.ensure('lists', 'main');
    const pr = await storage.projects.ensure('lists', 'pr-1', { parent: 'main' });
    const of = async (ids: typeof main, changes: Parameters<typeof request>[0]): Promise<string> => {
      const id = nextId();
      await ledger.create({ ...ids, id, request: request(changes), context, sealed: null, fingerprint: id });
      return id;
    };
    const output: StoredRequest['outputs'][number] = {
      type: 'image',
      push: true,
      names: ['registry.example.com:5000/acme/tool:2'],
    };
    const app = await of(main, { tags: ['acme/app:1'] });
    const other = await of(pr, { tags: ['docker.io/acme/app:2'], buildArgs: { A: 'x\u0000y' } });
    const tool = await of(main, { outputs: [output] });
    await ledger.requestCancel(main.projectId, app);
    const claim = await ledger.claim(tool, 1, 'one');
    if (claim === null) throw new Error('not claimed');
    const found = async (filter: BuildFilter): Promise<readonly string[]> =>
      (await ledger.list(main.projectId, { limit: 10, filter })).builds.map(({ id }) => id);
    expect(await found({})).toEqual([tool, other, app]);
    expect(await found({ state: ['running'] })).toEqual([tool]);
    expect(await found({ state: ['queued', 'cancelled'] })).toEqual([other, app]);
    expect(await found({ scope: ['pr-1'] })).toEqual([other]);
    expect(await found({ scope: ['nowhere'] })).toEqual([]);
    expect(await found({ image: ['acme/app'] })).toEqual([other, app]);
    expect(await found({ image: ['acme/app:2'] })).toEqual([other]);
    expect(await found({ image: ['acme/app:latest'] })).toEqual([]);
    expect(await found({ image: ['registry.example.com:5000/acme/tool', 'acme/app:1'] })).toEqual([tool, app]);
    expect(await found({ image: ['acme/app'], scope: ['main'] })).toEqual([app]);
    const [{ createdAt } = { createdAt: '' }] = (await ledger.list(main.projectId, { limit: 1 })).builds;
    const later = new Date(Date.parse(createdAt) + 1000).toISOString();
    expect(await found({ since: later })).toEqual([]);
    expect(await found({ until: later })).toEqual([tool, other, app]);
    const steps = { total: 0, hit: 0, joined: 0, run: 0 };
    const result = {
      names: [],
      steps,
      bytes: { contextSent: 0, pulled: 0, pushed: 0 },
      durationMs: 5,
      savedMs: 0,
      outputs: [],
    };
    await ledger.append(claim, [{ type: 'delivered', atMs: 7, result }]);
    expect(await found({ state: ['succeeded'] })).toEqual([tool]);
    expect(await found({ state: ['running'] })).toEqual([]);
  });
});

describe('claims', () => {
  it('are given once, for the current attempt, with ever higher fences and the scopes that are read', async () => {
    const id = await createBuild(storage, 'claims', 'pr-1');
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((builder) => ledger.claim(id, 1, builder)));
    const [claim] = all.filter((got) => got !== null);
    expect(all.filter((got) => got !== null)).toHaveLength(1);
    expect(claim?.scopes.map(({ name }) => name)).toEqual(['pr-1', 'main']);
    expect(claim?.context).toEqual(context);
    expect(claim?.sealed).toEqual(Buffer.from('sealed'));
    expect(await ledger.claim(id, 2, 'e')).toBeNull();
    expect(await takeOver(id)).toEqual([{ buildId: id, attempt: 2 }]);
    expect(await ledger.claim(id, 1, 'e')).toBeNull();
    expect((await ledger.claim(id, 2, 'e'))?.fence).toBeGreaterThan(claim?.fence ?? Number.MAX_SAFE_INTEGER);
  });

  it('that were lost can neither write, nor finish, nor save, nor live on', async () => {
    const old = await claimBuild(storage, 'old');
    await ledger.append(old, [log('one')]);
    await takeOver(old.buildId);
    const cache = createCacheStore({ db: storage.db, redis: storage.link, claim: old });
    const attempts = async (): Promise<void> => {
      await expect(ledger.append(old, [log('two')])).rejects.toSatisfy(fenced);
      await expect(ledger.finish(old, cancelled)).rejects.toSatisfy(fenced);
      await expect(ledger.heartbeat(old)).rejects.toSatisfy(fenced);
      await expect(ledger.checkFence(old)).rejects.toSatisfy(fenced);
      await expect(cache.saveDelta(vertex, { mediaType: 'x', digest: vertex, size: 1 })).rejects.toSatisfy(fenced);
    };
    await attempts();
    const taken = await ledger.claim(old.buildId, 2, 'new');
    if (taken === null) throw new Error('not taken over');
    expect(taken.lastSeq).toBe(1);
    await attempts();
    expect(await ledger.append(taken, [log('three')])).toBe(2);
    await ledger.finish(taken, cancelled);
    await attempts();
    const events = await storage.feed.read(old.buildId, 0);
    expect(events.map(({ event }) => (event.type === 'log' ? event.text : event.type))).toEqual([
      'one',
      'three',
      'cancelled',
    ]);
    expect(seqs(events)).toEqual([1, 2, 3]);
  });

  it('are kept by heartbeats', async () => {
    const claim = await claimBuild(storage);
    await goSilent(storage, claim.buildId);
    expect(await ledger.heartbeat(claim)).toEqual({ cancelReason: null });
    expect((await ledger.expired(60_000)).filter((job) => job.buildId === claim.buildId)).toEqual([]);
    await ledger.checkFence(claim);
  });
});

describe('events', () => {
  it('are numbered without gaps, however many are written at once', async () => {
    const claim = await claimBuild(storage);
    const batches = Array.from({ length: 20 }, (_, batch) => Array.from({ length: batch % 4 }, () => log(`${batch}`)));
    const lasts = await Promise.all(batches.map((batch) => ledger.append(claim, batch)));
    const events = await storage.feed.read(claim.buildId, 0);
    expect(seqs(events)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    for (const [index, batch] of batches.entries()) {
      const last = lasts[index] ?? 0;
      expect(events.slice(last - batch.length, last).map(({ event }) => event)).toEqual(batch);
    }
  });

  it('are kept as they were, NUL and broken text included', async () => {
    const claim = await claimBuild(storage);
    await ledger.append(claim, [log('a\u0000b\udc80 ✓')]);
    expect((await storage.feed.read(claim.buildId, 0))[0]?.event).toEqual(log('a\u0000b\udc80 ✓'));
  });

  it('are stored once when the answer to their commit was lost', async () => {
    const claim = await claimBuild(storage);
    await using shaky = new LosingDatabase({ url: storage.postgres.url, max: 1 });
    const flaky = new BuildLedger({ db: shaky, redis: storage.link });
    const batch = [log('once'), log('twice')];
    await expect(flaky.append(claim, batch)).rejects.toSatisfy(code('UNAVAILABLE'));
    expect(await flaky.append(claim, batch)).toBe(2);
    expect(await flaky.append(claim, [log('more')])).toBe(3);
    expect(seqs(await storage.feed.read(claim.buildId, 0))).toEqual([1, 2, 3]);
  });

  it('fold into steps', async () => {
    const claim = await claimBuild(storage);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => digestOf(name));
    if (a === undefined || b === undefined || c === undefined) throw new Error('no digests');
    const planned = [a, b, c].map((of, line) => ({
      vertex: of,
      name: `#${line}\u0000`,
      stage: 's',
      line,
      step: true,
      inputs: [],
    }));
    await ledger.append(claim, [
      { type: 'planned', atMs: 1, vertices: planned },
      { type: 'vertexStarted', atMs: 1_000, vertex: a },
      { type: 'vertexDone', atMs: 2, vertex: a, outcome: 'run', durationMs: 1.5, miss: 'new' },
      { type: 'vertexStarted', atMs: 3, vertex: b },
    ]);
    const { projectId } = claim;
    const steps = await ledger.steps(projectId, claim.buildId);
    expect(steps.map(({ state }) => state)).toEqual(['run', 'running', 'pending']);
    expect(steps[0]).toMatchObject({
      name: '#0\ufffd',
      startedAt: new Date(1_000).toISOString(),
      durationMs: 1.5,
      miss: 'new',
    });
    await ledger.append(claim, [{ type: 'vertexFailed', atMs: 4, vertex: b, durationMs: 2, message: 'no' }]);
    await ledger.finish(claim, { type: 'failed', atMs: 5, failure: { code: 'STEP_FAILED', message: 'no' } });
    expect((await ledger.steps(projectId, claim.buildId)).map(({ state }) => state)).toEqual([
      'run',
      'failed',
      'cancelled',
    ]);
    expect(await ledger.get(projectId, claim.buildId)).toMatchObject({ state: 'failed', failure: { message: 'no' } });
  });
});

describe('ends', () => {
  it('come once, with the credentials gone', async () => {
    const claim = await claimBuild(storage);
    await Promise.all([ledger.finish(claim, cancelled), ledger.finish(claim, cancelled)]);
    await ledger.finish(claim, cancelled);
    const events = await storage.feed.read(claim.buildId, 0);
    expect(events.filter(({ event }) => isFinal(event))).toHaveLength(1);
    await expect(ledger.append(claim, [log('late')])).rejects.toSatisfy(fenced);
    const sealed = await storage.db.execute('SELECT 1 FROM builds WHERE id = $1 AND sealed IS NULL', [claim.buildId]);
    expect(sealed).toBe(1);
  });

  it('a queued build that is cancelled ends at once, and is never claimed', async () => {
    const id = await createBuild(storage);
    const { projectId } = await storage.projects.ensure('default', 'main');
    expect((await ledger.requestCancel(projectId, id)).state).toBe('cancelled');
    expect((await ledger.requestCancel(projectId, id)).state).toBe('cancelled');
    expect(await ledger.claim(id, 1, 'one')).toBeNull();
    expect((await storage.feed.read(id, 0)).map(({ event }) => event.type)).toEqual(['cancelled']);
  });

  it('a builder hears of a cancelling at once, and of one that came before it listened', async () => {
    const claim = await claimBuild(storage);
    await ledger.requestCancel(claim.projectId, claim.buildId);
    const early = Promise.withResolvers<void>();
    using _early = ledger.onCancel(claim, early.resolve);
    await early.promise;
    const rings: number[] = [];
    using _late = ledger.onCancel(claim, () => rings.push(1));
    const heard = Promise.withResolvers<void>();
    using _heard = ledger.onCancel(claim, () => rings.length > 0 && heard.resolve());
    await ledger.requestCancel(claim.projectId, claim.buildId);
    await heard.promise;
  });

  it('a running build that is cancelled is ended by its builder, or by the farm when that is lost', async () => {
    const claim = await claimBuild(storage);
    expect((await ledger.requestCancel(claim.projectId, claim.buildId)).state).toBe('running');
    expect(await ledger.heartbeat(claim)).toEqual({ cancelReason: 'cancelled on request' });
    expect(await takeOver(claim.buildId)).toEqual([]);
    expect((await ledger.get(claim.projectId, claim.buildId)).state).toBe('cancelled');
    await expect(ledger.finish(claim, cancelled)).rejects.toSatisfy(fenced);
  });

  it('a build whose answer is out has succeeded, whatever becomes of its builder, and of who would cancel it', async () => {
    const steps = { total: 0, hit: 0, joined: 0, run: 0 };
    const bytes = { contextSent: 0, pulled: 0, pushed: 0 };
    const result = { names: [], steps, bytes, durationMs: 5, savedMs: 0, outputs: [] };
    for (const lose of [takeOver, giveBack]) {
      const claim = await claimBuild(storage);
      const { projectId, buildId } = claim;
      await ledger.append(claim, [log('a'), { type: 'delivered', atMs: 7, result }]);
      const delivered = await ledger.get(projectId, buildId);
      expect(delivered).toMatchObject({ state: 'succeeded', result });
      expect((await ledger.requestCancel(projectId, buildId)).state).toBe('succeeded');
      expect(await ledger.heartbeat(claim)).toEqual({ cancelReason: null });
      expect(await lose(buildId, claim)).toEqual([]);
      await expect(ledger.heartbeat(claim)).rejects.toSatisfy(fenced);
      const { finishedAt } = delivered;
      expect(await ledger.get(projectId, buildId)).toMatchObject({ state: 'succeeded', result, finishedAt });
      const events = await storage.feed.read(buildId, 0);
      expect(events.map(({ event }) => event.type)).toEqual(['log', 'delivered', 'succeeded']);
    }
  });

  it('a build that costs every builder its life fails', async () => {
    const id = await createBuild(storage);
    for (let attempt = 1; attempt <= 10; attempt++) {
      expect(await ledger.claim(id, attempt, 'one')).not.toBeNull();
      expect(await takeOver(id)).toEqual(attempt === 10 ? [] : [{ buildId: id, attempt: attempt + 1 }]);
    }
    const { projectId } = await storage.projects.ensure('default', 'main');
    expect(await ledger.get(projectId, id)).toMatchObject({ state: 'failed', failure: { code: 'INTERNAL' } });
  });
});

describe('recovery', () => {
  it('finds what waits', async () => {
    const id = await createBuild(storage);
    expect(jobsOf(id, await ledger.queuedOlderThan(60_000))).toEqual([]);
    expect(jobsOf(id, await ledger.queuedOlderThan(0))).toEqual([{ buildId: id, attempt: 1 }]);
  });

  it('blames no builder while the database has been up for less than they may be silent', async () => {
    const claim = await claimBuild(storage);
    await goSilent(storage, claim.buildId);
    expect(await ledger.expired(3_600_000 - 1)).toEqual([]);
    await ledger.checkFence(claim);
  });

  it('gives no number to a farm that is restored which another restore of the same backup may have given', async () => {
    const { db } = storage;
    const sequences = ['build_fences', 'record_versions', 'results_version_seq'];
    const numbers = async (): Promise<readonly bigint[]> => {
      const rows = sequences.map((name) => `(SELECT last_value FROM ${name})`);
      const [row] = await db.query(Numbers, `SELECT ARRAY[${rows.join(', ')}]::text[] AS numbers`);
      return row?.numbers.map(BigInt) ?? [];
    };
    const restored = async (): Promise<readonly bigint[]> => {
      // As it was in the backup afterwards.
      const before = await numbers();
      await db.execute(voidClaims);
      const after = await numbers();
      for (const [at, name] of sequences.entries())
        await db.execute(`SELECT setval('${name}', $1::bigint)`, [String(before[at])]);
      return after;
    };
    const [one, other] = [await restored(), await restored()];
    for (const at of sequences.keys()) {
      const apart = (one[at] ?? 0n) - (other[at] ?? 0n);
      expect(apart < 0n ? -apart : apart).toBeGreaterThan(1_000n);
    }
  });
});

const Numbers = z.object({ numbers: z.array(z.string()) });

describe('the feed', () => {
  const feed = (redis = storage.link, clock = systemClock): EventFeed =>
    new EventFeed({ db: storage.db, redis, content: storage.content, clock });

  async function read(events: AsyncIterable<NumberedEvent>): Promise<readonly number[]> {
    const read: number[] = [];
    for await (const { seq } of events) read.push(seq);
    return read;
  }

  it('follows from anywhere to the end, in order', async () => {
    const claim = await claimBuild(storage);
    await ledger.append(claim, [log('1'), log('2')]);
    const { signal } = new AbortController();
    const readers = [0, 1, 2, 350].map((after) => read(feed().watch(claim.buildId, after, signal)));
    for (let index = 0; index < 30; index++)
      await ledger.append(
        claim,
        Array.from({ length: 10 }, () => log('x')),
      );
    await ledger.finish(claim, cancelled);
    const all = Array.from({ length: 303 }, (_, index) => index + 1);
    expect(await Promise.all(readers)).toEqual([all, all.slice(1), all.slice(2), []]);
    expect(await read(feed().watch(claim.buildId, 303, signal))).toEqual([]);
  });

  it('is woken by Redis, and goes on by itself without it', async () => {
    const claim = await claimBuild(storage);
    const { signal } = new AbortController();
    const waiting = Promise.withResolvers<void>();
    /** For this one only Redis ends a wait. */
    const endless: Clock = {
      nowMs: () => systemClock.nowMs(),
      sleep: (_ms, until) => {
        waiting.resolve();
        return systemClock.sleep(2 ** 31 - 1, until);
      },
    };
    const iterator = feed(storage.link, endless).watch(claim.buildId, 0, signal);
    const first = iterator.next();
    await waiting.promise;
    await ledger.append(claim, [log('1')]);
    expect((await first).value?.seq).toBe(1);
    await using gone = openRedis({ url: 'redis://127.0.0.1:1' });
    const deaf = feed(gone).watch(claim.buildId, 1, signal);
    const second = deaf.next();
    await ledger.append(claim, [log('2')]);
    expect((await second).value?.seq).toBe(2);
    await iterator.return();
    await deaf.return();
  });

  it('ends when its reader leaves', async () => {
    const claim = await claimBuild(storage);
    const leave = new AbortController();
    const reading = read(feed().watch(claim.buildId, 0, leave.signal));
    leave.abort();
    expect(await reading).toEqual([]);
  });
});

/** The first commit succeeds, and its answer is lost. */
class LosingDatabase extends Database {
  #lost = false;

  override async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const result = await super.transaction(work);
    if (this.#lost) return result;
    this.#lost = true;
    throw new KilnError('UNAVAILABLE', 'the answer was lost');
  }
}
