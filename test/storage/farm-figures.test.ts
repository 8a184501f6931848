import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { systemClock } from '#std';
import { BuilderRegistry, FarmFigureReader, type FarmFigures, StatisticsReader } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBuild, createBuild, goSilent, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const WITHIN_MS = 15_000;
/** The database has to have been up for as long as builders may be silent. */
const TTL_MS = 50;
/** As who asks for the first time. */
const farmFigures = (): Promise<FarmFigures> => new FarmFigureReader(storage.db, systemClock, WITHIN_MS).read();
const vertices = ['make', 'test', 'pack'].map((name) => ({
  vertex: digestOf(name),
  name,
  stage: 'build',
  line: 1,
  step: true,
  inputs: [],
}));
const of = (name: string) => ({ atMs: 2, vertex: digestOf(name) });
const hit = { key: 'definition', buildId: 'b', builderId: 'n', scope: 'main', savedMs: 1_500, savedBytes: 70 } as const;
const steps: readonly BuildEvent[] = [
  { type: 'planned', atMs: 1, vertices },
  { type: 'vertexDone', ...of('make'), outcome: 'hit', durationMs: 0, hit },
  { type: 'vertexDone', ...of('test'), outcome: 'joined', durationMs: 0 },
  { type: 'vertexDone', ...of('pack'), outcome: 'run', durationMs: 400, cause: { kind: 'neverBuilt' } },
];

describe('figures of the farm', () => {
  it('count what is accepted and what ends, of all projects, and never less', async () => {
    const before = await farmFigures();
    expect(before).toMatchObject({ totals: { buildsSubmitted: 0, savedMs: 0 }, oldestQueuedSeconds: 0 });
    for (const project of ['one', 'two', 'three']) {
      const claim = await claimBuild(storage, 'a', project);
      await storage.ledger.append(claim, steps);
      await storage.ledger.finish(claim, { type: 'cancelled', atMs: 9, reason: 'test' });
    }
    const totals = {
      buildsSubmitted: 3,
      buildsEnded: { cancelled: 3 },
      steps: { hit: 3, joined: 3, miss: 3 },
      misses: { neverBuilt: 3 },
      savedMs: 4_500,
      savedBytes: 210,
      spentMs: 1_200,
    };
    const expected = { totals, queued: 0, running: 0 };
    expect(await farmFigures()).toMatchObject(expected);
    await storage.db.execute('UPDATE step_statistics SET day = day - 1000');
    await new StatisticsReader(storage.db).sweep();
    expect(await farmFigures()).toMatchObject(expected);
  });

  it('tell of the queue, of builders and of webhooks', async () => {
    const running = await claimBuild(storage, 'a', 'queue');
    const waiting = await createBuild(storage, 'queue');
    await storage.db.execute("UPDATE builds SET created_at = now() - interval '1 minute' WHERE id = $1", [waiting]);
    const builders = new BuilderRegistry(storage.db);
    for (const id of ['a', 'b', 'c', 'd']) await builders.register(id, { slots: 2 });
    await builders.heartbeat('b', 'draining');
    await builders.heartbeat('c', 'stopped');
    await storage.db.execute("UPDATE builders SET heartbeat_at = now() - interval '5 minutes' WHERE id = 'd'");
    const { projectId } = running;
    await storage.db.execute(
      `INSERT INTO webhooks (project_id, id, url, events, sealed, trust) VALUES ($1, 'w', 'https://ci.example.com', '{}', '', 0)`,
      [projectId],
    );
    await storage.db.execute(
      `INSERT INTO webhook_deliveries (project_id, webhook_id, id, event, data, next_at) VALUES
         ($1, 'w', 'due', 'build.failed', '{}', now()), ($1, 'w', 'later', 'build.failed', '{}', now() + interval '1 hour')`,
      [projectId],
    );
    const figures = await farmFigures();
    expect(figures).toMatchObject({
      ...{ queued: 1, running: 1, slots: 2, blobs: 0, results: 0 },
      builders: { ready: 1, draining: 1 },
      webhooks: { pending: 2, failed: 0 },
    });
    expect(figures.oldestQueuedSeconds).toBeGreaterThanOrEqual(60);
  });

  it('count builds whose builder was missed, each time and once', async () => {
    const { buildId } = await claimBuild(storage, 'dies', 'lost');
    await goSilent(storage, buildId);
    const lost = await storage.ledger.expired(TTL_MS);
    expect(lost.map((job) => job.buildId)).toContain(buildId);
    expect(await storage.ledger.expired(TTL_MS)).toEqual([]);
    expect((await farmFigures()).totals.buildsLost).toBe(lost.length);
  });

  it('are asked for once by many, and again when they are old', async () => {
    let nowMs = 0;
    const figures = new FarmFigureReader(storage.db, { nowMs: () => nowMs }, WITHIN_MS);
    const [first, second] = await Promise.all([figures.read(), figures.read()]);
    expect(second).toBe(first);
    nowMs = 9_999;
    expect(await figures.read()).toBe(first);
    nowMs = 10_000;
    expect(await figures.read()).not.toBe(first);
  });

  it('hold of many builds that end together', async () => {
    const { totals: before } = await farmFigures();
    const claims = await Promise.all(Array.from({ length: 12 }, (_, n) => claimBuild(storage, 'a', `many-${n % 4}`)));
    await Promise.all(claims.map((claim) => storage.ledger.append(claim, steps)));
    await Promise.all(
      claims.map((claim) => storage.ledger.finish(claim, { type: 'cancelled', atMs: 9, reason: 'test' })),
    );
    const after = await farmFigures();
    expect(after.totals.buildsEnded['cancelled']).toBe((before.buildsEnded['cancelled'] ?? 0) + 12);
  });
});
