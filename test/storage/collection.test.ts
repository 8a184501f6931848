import type { CacheKey, OpKey, Result } from '#cache';
import { type ContentStore, delegate, leased } from '#content';
import { type Digest, digestOf } from '#oci';
import { single } from '#std';
import {
  BlobIndex,
  BlobLeases,
  CacheAdmin,
  type Claim,
  Collector,
  type CollectorLimits,
  ContextStore,
  createCacheStore,
} from '#storage';
import { MemoryContentStore } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, createBuild, startStorage, type Storage } from './farm.ts';

const MIB = 1024 * 1024;
const unlimited: CollectorLimits = {
  graceMs: 0,
  retentionMs: 0,
  imageRetentionMs: 0,
  projectBytes: 1e15,
  totalBytes: 1e15,
};

let storage: Storage;
let content: MemoryContentStore;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => {
  await storage.db.execute('TRUNCATE projects, blobs CASCADE');
  content = new MemoryContentStore();
});

const keyOf = (name: string): CacheKey => digestOf(`key ${name}`) as CacheKey;
const idOf = (name: string): Result['id'] => digestOf(`result ${name}`) as Result['id'];
const explained = (name: string) => ({
  key: keyOf(name),
  kind: 'definition' as const,
  op: digestOf(`op ${name}`) as OpKey,
  preimage: { op: { kind: 'exec', args: ['/bin/sh', '-c', name] } },
});

function store(claim: Claim) {
  return createCacheStore({ db: storage.db, redis: storage.link, claim });
}

function contentOf(claim: Claim) {
  const leases = new BlobLeases(storage.db, claim);
  return leased(content, (digests) => leases.retain(digests));
}

interface Step {
  readonly name: string;
  readonly on?: Result | undefined;
  readonly costMs?: number;
  readonly size?: number;
}

/** As a build does it: blobs put, then recorded. */
async function record(claim: Claim, { name, on, costMs = 1000, size = MIB }: Step): Promise<Result> {
  const own = contentOf(claim);
  const layer = await own.put(single(`layer ${name}`), digestOf(`layer ${name}`));
  const delta = await own.put(single(`delta ${name}`), digestOf(`delta ${name}`));
  const result: Result = {
    id: idOf(name),
    parents: on === undefined ? [] : [on.id],
    layers: [
      ...(on?.layers ?? []),
      {
        descriptor: { mediaType: 'application/test', digest: layer.digest, size },
        diffId: digestOf(`diff ${name}`),
        delta: { mediaType: 'application/test', digest: delta.digest, size: 1 },
      },
    ],
    tree: digestOf(`tree ${name}`),
    ...{ empty: false, costMs, startedAtMs: 1, finishedAtMs: 2 },
    producer: { buildId: claim.buildId, builderId: 'n', scope: 'main' },
  };
  await store(claim).save([explained(name)], result, 1);
  return result;
}

const found = async (claim: Claim, name: string): Promise<boolean> =>
  (await store(claim).lookup([keyOf(name)], [])).records.has(keyOf(name));

const layerOf = (name: string): Digest => digestOf(`layer ${name}`);
const present = async (name: string): Promise<boolean> =>
  (await content.findMissing(new Set([layerOf(name)]))).size === 0;

async function end({ buildId, fence }: Claim): Promise<void> {
  await storage.db.execute("UPDATE builds SET state = 'succeeded', finished_at = now() WHERE id = $1 AND fence = $2", [
    buildId,
    fence,
  ]);
}

/** Passes until nothing more happens: one takes records, the next what they needed. */
async function collect(limits: Partial<CollectorLimits> = {}): Promise<void> {
  const collector = new Collector({ db: storage.db, content, limits: { ...unlimited, ...limits } });
  for (let pass = 0; pass < 3; pass++) {
    await storage.db.execute('UPDATE blobs SET check_at = now() WHERE check_at > now()');
    await collector.collect();
  }
}

const Uses = z.object({ uses: z.int() });
const usesOf = async (name: string): Promise<number | undefined> =>
  (await storage.db.query(Uses, 'SELECT uses FROM results WHERE id = $1', [idOf(name)]))[0]?.uses;

describe('what a running build found', () => {
  it('stays until the build ends, however it ends', async () => {
    const maker = await claimBuild(storage, 'one');
    await record(maker, { name: 'a' });
    await end(maker);
    const user = await claimBuild(storage, 'two');
    expect(await found(user, 'a')).toBe(true);
    await collect({ totalBytes: 0 });
    expect(await present('a')).toBe(true);
    expect(await found(user, 'a')).toBe(true);
    // Its builder died: nobody holds it any more.
    await storage.ledger.release(user);
    await collect({ totalBytes: 0 });
    expect(await present('a')).toBe(false);
    const later = await claimBuild(storage, 'three');
    expect(await found(later, 'a')).toBe(false);
  });

  it('counts as used once, and what a build made itself does not', async () => {
    const maker = await claimBuild(storage, 'one');
    await record(maker, { name: 'a' });
    await end(maker);
    await collect();
    expect(await usesOf('a')).toBe(0);
    const user = await claimBuild(storage, 'two');
    await found(user, 'a');
    await found(user, 'a');
    await end(user);
    await collect();
    expect(await usesOf('a')).toBe(1);
  });

  it('is told to be gone, not half there, when it goes at that moment', async () => {
    const maker = await claimBuild(storage, 'one');
    const names = Array.from({ length: 40 }, (_, index) => `r${index}`);
    for (const name of names) await record(maker, { name });
    await end(maker);
    const user = await claimBuild(storage, 'two');
    const keys = names.map(keyOf);
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, () => store(user).lookup(keys, []))),
      collect({ totalBytes: 0 }),
    ]);
    for (const { records } of answers) {
      const blobs = [...records.values()].flat().flatMap(({ result }) => result.layers.map((l) => l.descriptor.digest));
      expect(await content.findMissing(new Set(blobs))).toEqual(new Set());
    }
  });

  it('goes from a part to its build without a gap', async () => {
    const parent = await claimBuild(storage, 'one');
    const part = await claimBuild(storage, 'two');
    await storage.db.execute(
      "UPDATE builds SET parent_id = $2, part = '{}', part_platform = 'linux/arm64' WHERE id = $1",
      [part.buildId, parent.buildId],
    );
    await record(part, { name: 'a' });
    await storage.ledger.finish(part, { type: 'cancelled', atMs: 1, reason: 'over' });
    await collect({ totalBytes: 0 });
    expect(await present('a')).toBe(true);
    await end(parent);
    await collect({ totalBytes: 0 });
    expect(await present('a')).toBe(false);
  });
});

describe('blobs', () => {
  it('that are put and not recorded yet stay while the build runs, and no longer', async () => {
    const claim = await claimBuild(storage, 'one');
    await contentOf(claim).put(single('layer x'), layerOf('x'));
    await new Collector({ db: storage.db, content, limits: unlimited }).adopt();
    await collect();
    expect(await present('x')).toBe(true);
    await end(claim);
    await collect();
    expect(await present('x')).toBe(false);
  });

  it('that a build asks for while they go are there, or are told to be missing', async () => {
    const maker = await claimBuild(storage, 'one');
    await record(maker, { name: 'a' });
    await end(maker);
    // Out of use, the bytes not gone yet.
    const limits = { ...unlimited, totalBytes: 0 };
    const collector = new Collector({ db: storage.db, content, limits: { ...limits, graceMs: 3_600_000 } });
    await storage.db.execute("UPDATE blobs SET used_at = now() - interval '1 day'");
    await collector.collect();
    const removed = z.object({ digest: z.string() });
    expect(await storage.db.query(removed, 'SELECT digest FROM blobs WHERE removed_at IS NOT NULL')).toHaveLength(2);
    const user = await claimBuild(storage, 'two');
    expect(await contentOf(user).findMissing(new Set([layerOf('a')]))).toEqual(new Set());
    await collect({ totalBytes: 0 });
    expect(await present('a')).toBe(true);
    await end(user);
    await collect();
    expect(await present('a')).toBe(false);
    const last = await claimBuild(storage, 'three');
    expect((await contentOf(last).findMissing(new Set([layerOf('a')]))).size).toBe(1);
    await contentOf(last).put(single('layer a'), layerOf('a'));
    await collect();
    expect(await present('a')).toBe(true);
  });

  it('whose bytes went since they were put without a known digest are told to be doubtful', async () => {
    const index = new BlobIndex(storage.db);
    const { projectId } = await claimBuild(storage, 'one');
    const blob = await content.put(single('layer y'));
    expect(await index.grant(projectId, [blob])).toEqual(new Set());
    await collect();
    expect(await present('y')).toBe(false);
    expect(await index.grant(projectId, [blob])).toEqual(new Set([blob.digest]));
    expect(await index.grant(projectId, [blob])).toEqual(new Set());
  });

  it('of contexts and outputs stay for their time, and as long as any build that may need them is in work', async () => {
    const index = new BlobIndex(storage.db);
    const blob = await content.put(single('layer z'));
    const claim = await claimBuild(storage, 'one');
    await index.keep(claim.projectId, [blob]);
    expect(await index.renew(claim.projectId, [blob.digest])).toEqual(new Map([[blob.digest, blob.sizeBytes]]));
    await collect({ retentionMs: 60_000 });
    await storage.db.execute(
      "UPDATE blobs SET kept_at = now() - interval '2 hours', used_at = now() - interval '2 hours'",
    );
    await storage.db.execute("UPDATE builds SET created_at = now() - interval '2 hours'");
    await collect({ retentionMs: 60_000 });
    expect(await present('z')).toBe(true);
    await end(claim);
    await collect({ retentionMs: 60_000 });
    expect(await present('z')).toBe(false);
    expect(await index.missing(claim.projectId, [blob.digest])).toEqual(new Set([blob.digest]));
    expect(await index.renew(claim.projectId, [blob.digest])).toEqual(new Map());
  });

  it('stay for builds of their own project: one that nobody takes holds up no other', async () => {
    const index = new BlobIndex(storage.db);
    const [waiting, other] = [
      await storage.projects.ensure('waiting', 'main'),
      await storage.projects.ensure('b', 'main'),
    ];
    await createBuild(storage, 'waiting');
    const [w, o] = [await content.put(single('layer w')), await content.put(single('layer o'))];
    await index.keepSent(waiting.projectId, [w]);
    await index.keepSent(other.projectId, [o]);
    const long = "now() - interval '2 hours'";
    await storage.db.execute(`UPDATE blobs SET kept_at = ${long}, used_at = ${long}`);
    await storage.db.execute(`UPDATE builds SET created_at = ${long}`);
    await collect({ retentionMs: 60_000 });
    expect([await present('w'), await present('o')]).toEqual([true, false]);
  });

  it('that clients sent count for their project once, for as long as it sent them, whoever else keeps them', async () => {
    const index = new BlobIndex(storage.db);
    const [one, two] = [await storage.projects.ensure('one', 'main'), await storage.projects.ensure('two', 'main')];
    const blobs = await Promise.all(['p', 'q'].map((name) => content.put(single(`layer ${name}`))));
    const [p] = blobs.map(({ sizeBytes }) => sizeBytes);
    const sums = async () => [await index.sentBytes(one.projectId), await index.sentBytes(two.projectId)];
    expect(await sums()).toEqual([0, 0]);
    await Promise.all([index.keepSent(one.projectId, blobs), index.keepSent(one.projectId, blobs.toReversed())]);
    await index.keepSent(two.projectId, blobs.slice(0, 1));
    await index.keep(two.projectId, blobs);
    expect(await sums()).toEqual([2 * (p ?? 0), p]);
    const old = (project: string) =>
      storage.db.execute("UPDATE sent_blobs SET sent_at = now() - interval '2 hours' WHERE project_id = $1", [project]);
    await old(one.projectId);
    const digests = blobs.map(({ digest }) => digest);
    await index.renew(one.projectId, digests.slice(1));
    await collect({ retentionMs: 60_000 });
    expect(await sums()).toEqual([p, p]);
    // What is there still, whoever kept it, and is kept for it anew, counts anew.
    await index.renew(one.projectId, digests);
    expect(await sums()).toEqual([2 * (p ?? 0), p]);
    await storage.db.execute("UPDATE blobs SET kept_at = now() - interval '2 hours'");
    await collect({ retentionMs: 60_000 });
    expect([await sums(), await present('p'), await present('q')]).toEqual([[0, 0], false, false]);
  });

  it('of a context are not taken for kept because somebody else announced it', async () => {
    const [index, contexts] = [new BlobIndex(storage.db), new ContextStore(storage.db)];
    const [one, two] = [await storage.projects.ensure('one', 'main'), await storage.projects.ensure('two', 'main')];
    const [file, manifest] = [await content.put(single('layer r')), await content.put(single('layer s'))];
    const known = { digest: manifest.digest, files: 1, sizeBytes: file.sizeBytes };
    await index.keepSent(one.projectId, [file, manifest]);
    await contexts.put(one.projectId, known, true);
    expect(await contexts.isKept(one.projectId, manifest.digest)).toBe(true);
    await storage.db.execute(`UPDATE blobs SET kept_at = now() - interval '2 hours'`);
    await storage.db.execute(`UPDATE contexts SET kept_at = now() - interval '2 hours'`);
    await index.keepSent(two.projectId, [manifest]);
    await contexts.put(two.projectId, known, false);
    await collect({ retentionMs: 60_000 });
    expect([await present('r'), await present('s')]).toEqual([false, true]);
    expect(await contexts.isKept(one.projectId, manifest.digest)).toBe(false);
  });

  it('that only the content store knows are found', async () => {
    const { digest } = await content.put(single('layer o'));
    const collector = new Collector({ db: storage.db, content, limits: unlimited });
    await collector.adopt();
    await collector.collect();
    expect(await content.findMissing(new Set([digest]))).toEqual(new Set());
    await collect();
    expect(await present('o')).toBe(false);
  });

  it('are removed in spite of a crash at any point', async () => {
    const maker = await claimBuild(storage, 'one');
    for (const name of ['a', 'b', 'c']) await record(maker, { name });
    await end(maker);
    let failures = 0;
    const failing: ContentStore = {
      ...delegate(content),
      remove: async ([first]) => {
        // One of many is removed, and then the store is away.
        if (first !== undefined) await content.remove(new Set([first]));
        failures++;
        throw new Error('the store is away');
      },
    };
    const limits = { ...unlimited, totalBytes: 0 };
    await expect(new Collector({ db: storage.db, content: failing, limits }).collect()).rejects.toThrow('away');
    expect(failures).toBe(1);
    await collect({ totalBytes: 0 });
    for (const name of ['a', 'b', 'c']) expect(await present(name)).toBe(false);
  });
});

describe('quotas', () => {
  it('take what is cheap to make again for its size, and leave what is costly', async () => {
    const maker = await claimBuild(storage, 'one');
    const install = await record(maker, { name: 'install', costMs: 60_000, size: 50 * MIB });
    await record(maker, { name: 'copy', on: install, costMs: 5000, size: 50 * MIB });
    await record(maker, { name: 'large', costMs: 500, size: 100 * MIB });
    await end(maker);
    await collect({ projectBytes: 120 * MIB });
    expect([await present('install'), await present('copy'), await present('large')]).toEqual([true, true, false]);
    await collect({ projectBytes: 60 * MIB });
    expect([await present('install'), await present('copy')]).toEqual([true, false]);
    const note = z.object({ reason: z.string(), detail: z.string() });
    expect(
      await storage.db.query(note, 'SELECT reason, detail FROM record_tombstones WHERE key = $1', [keyOf('copy')]),
    ).toEqual([{ reason: 'evicted', detail: "the project's quota of 60 MiB" }]);
  });

  it('do not take what others stand on: it would free nothing', async () => {
    const maker = await claimBuild(storage, 'one');
    const below = await record(maker, { name: 'below', costMs: 1, size: 50 * MIB });
    await record(maker, { name: 'above', on: below, costMs: 100_000, size: MIB });
    await record(maker, { name: 'other', costMs: 10_000, size: 40 * MIB });
    await end(maker);
    await collect({ projectBytes: 60 * MIB });
    expect([await present('below'), await present('above'), await present('other')]).toEqual([true, true, false]);
  });

  it('are not stuck where the same layer is of several results or scopes', async () => {
    const maker = await claimBuild(storage, 'one');
    const a = await record(maker, { name: 'a', size: 50 * MIB });
    const twin: Result = { ...a, id: idOf('twin') };
    await store(maker).save([explained('twin')], twin, 1);
    const other = await claimBuild(storage, 'two', 'default', 'feature');
    await store(other).save([explained('a')], a, 1);
    await end(maker);
    await end(other);
    await collect({ projectBytes: 10 * MIB });
    expect(await present('a')).toBe(false);
  });

  it('are of each project, and the farm has one of its own', async () => {
    const mine = await claimBuild(storage, 'one', 'mine');
    const theirs = await claimBuild(storage, 'two', 'theirs');
    await record(mine, { name: 'm', size: 50 * MIB });
    await record(theirs, { name: 't1', size: 20 * MIB, costMs: 1 });
    await record(theirs, { name: 't2', size: 20 * MIB });
    for (const claim of [mine, theirs]) await end(claim);
    await collect({ projectBytes: 45 * MIB });
    expect([await present('m'), await present('t1'), await present('t2')]).toEqual([false, true, true]);
    await collect({ totalBytes: 30 * MIB });
    expect([await present('t1'), await present('t2')]).toEqual([false, true]);
  });

  it('keep what is used again and again before what is not', async () => {
    const maker = await claimBuild(storage, 'one');
    for (const name of ['seldom', 'often']) await record(maker, { name, size: 50 * MIB });
    await end(maker);
    for (const builder of ['two', 'three']) {
      const user = await claimBuild(storage, builder);
      await found(user, 'often');
      await end(user);
    }
    await collect({ projectBytes: 60 * MIB });
    expect([await present('seldom'), await present('often')]).toEqual([false, true]);
  });
});

describe('the growth of a cache', () => {
  it('is what it took when it was measured, and what was taken out of it and why', async () => {
    const maker = await claimBuild(storage, 'one');
    const cheap = await record(maker, { name: 'cheap', costMs: 1_500, size: 40 * MIB });
    const dear = await record(maker, { name: 'dear', costMs: 60_000, size: 2 * MIB });
    // The same layer once more takes no more room.
    const other = await claimBuild(storage, 'two', 'default', 'pr');
    await store(other).save([explained('cheap')], cheap, 1);
    await store(other).save([explained('twin')], { ...dear, id: idOf('twin') }, 1);
    await end(maker);
    await end(other);
    const admin = new CacheAdmin(storage.db, 1e12);
    const growth = async (days = 1) => {
      const whose = { projectId: maker.projectId, project: 'default' };
      const { total, days: all, ...told } = await admin.growth(whose, { days });
      expect(told).toEqual({ project: 'default', since: all[0]?.day, until: all.at(-1)?.day, quotaBytes: 1e12 });
      expect(all).toHaveLength(days);
      return { total, last: all.at(-1) };
    };
    const none = { results: 0, bytes: 0, costMs: 0 };
    await collect();
    const { cacheBytes, scopes } = await admin.usage(maker.projectId);
    const results = scopes.reduce((all, scope) => all + scope.results, 0);
    expect(results).toBe(4);
    expect((await growth(3)).last).toMatchObject({ bytes: cacheBytes, results, evicted: none, lost: none });
    await collect({ projectBytes: 5 * MIB });
    const evicted = { results: 2, bytes: 40 * MIB, costMs: 1_500 };
    const after = (await admin.usage(maker.projectId)).cacheBytes;
    expect((await growth()).last).toMatchObject({ bytes: after, results: 2, evicted, lost: none, disowned: none });
    const lose = async (scope: string): Promise<void> =>
      store(await claimBuild(storage, `of ${scope}`, 'default', scope)).forget(new Set([layerOf('dear')]));
    await lose('main');
    // A result that is not read there has the layer yet.
    expect((await growth()).total).toMatchObject({ evicted, lost: { results: 1, bytes: 0, costMs: 60_000 } });
    await lose('pr');
    expect((await growth()).total.lost).toEqual({ results: 2, bytes: 2 * MIB, costMs: 120_000 });
  });

  it('says what evicted steps cost when they ran again', async () => {
    const { projectId, scopeId } = await storage.projects.ensure('default', 'main');
    const ran = (day: number, cause: string) =>
      storage.db.execute(
        `INSERT INTO step_statistics VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date - $3::int, 'Dockerfile', 'RUN make', 'miss',
           $4, 2, 0, 0, 0, 700)`,
        [projectId, scopeId, day, cause],
      );
    await ran(0, 'evicted');
    await ran(0, 'files');
    await ran(2, 'evicted');
    const { days, total } = await new CacheAdmin(storage.db, 1).growth({ projectId, project: 'default' }, { days: 2 });
    expect(days.map(({ bytes, missed }) => [bytes, missed.steps])).toEqual([
      [null, 0],
      [null, 2],
    ]);
    expect(total.missed).toEqual({ steps: 2, spentMs: 700 });
  });
});

describe('collectors', () => {
  it('work one at a time', async () => {
    const maker = await claimBuild(storage, 'one');
    await record(maker, { name: 'a' });
    await end(maker);
    const collector = new Collector({ db: storage.db, content, limits: { ...unlimited, totalBytes: 0 } });
    await storage.db.transaction(async (sql) => {
      await sql.execute('SELECT pg_advisory_xact_lock(7203812)');
      expect(await collector.collect()).toEqual({ evicted: 0, removed: 0 });
    });
    expect((await collector.collect()).evicted).toBe(1);
  });

  it('stop when they are told to', async () => {
    const collector = new Collector({ db: storage.db, content, limits: { ...unlimited, totalBytes: 0 } });
    expect(await collector.collect(AbortSignal.abort())).toEqual({ evicted: 0, removed: 0 });
  });

  it('never take what builds work with, whatever happens at once', async () => {
    const collector = new Collector({ db: storage.db, content, limits: { ...unlimited, totalBytes: 5 * MIB } });
    const ended = new AbortController();
    const collecting = (async () => {
      while (!ended.signal.aborted) {
        await storage.db.execute('UPDATE blobs SET check_at = now() WHERE check_at > now()');
        await collector.collect();
      }
    })();
    let hits = 0;
    const work = async (worker: number): Promise<void> => {
      for (let round = 0; round < 12; round++) {
        const claim = await claimBuild(storage, `w${worker}`);
        let on: Result | undefined;
        for (let step = 0; step < 4; step++) {
          const name = `s${step} ${step < 2 ? 'same' : (worker + round) % 3}`;
          const { records } = await store(claim).lookup([keyOf(name)], []);
          const hit = records.get(keyOf(name))?.[0]?.result;
          if (hit !== undefined) hits++;
          on = hit ?? (await record(claim, { name, on }));
          const blobs = on.layers.flatMap(({ descriptor, delta }) => [descriptor.digest, delta.digest]);
          expect(await content.findMissing(new Set(blobs))).toEqual(new Set());
        }
        await end(claim);
      }
    };
    try {
      await Promise.all([0, 1, 2, 3].map(work));
    } finally {
      ended.abort();
      await collecting;
    }
    expect(hits).toBeGreaterThan(0);
  });
});
