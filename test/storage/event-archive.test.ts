import { digestOf, DigestSchema } from '#oci';
import type { BuildEvent, NumberedEvent } from '#protocol';
import { BuildLedger, type Claim, Database, EventArchive, type Sql } from '#storage';
import { KilnError } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, startStorage, type Storage } from './farm.ts';

let storage: Storage;
let ledger: BuildLedger;
let archive: EventArchive;
beforeAll(async () => {
  storage = await startStorage();
  ({ ledger } = storage);
  const { db, content } = storage;
  archive = new EventArchive({ db, content });
});
afterAll(() => storage[Symbol.asyncDispose]());

const vertex = digestOf('v');
const log = (text: string): BuildEvent => ({ type: 'log', atMs: 1, vertex, stream: 1, text });
const cancelled = { type: 'cancelled', atMs: 9, reason: 'test' } as const;
const lines = (from: number, count: number): readonly BuildEvent[] =>
  Array.from({ length: count }, (_, index) => log(`${from + index} \u0000"\udc80 `.padEnd(32_000, 'x')));

async function fill(claim: Claim, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++) await ledger.append(claim, lines(batch * 8 + 1, 8));
}

const Counts = z.object({ archives: z.int(), rows: z.int(), loose: z.coerce.number() });

async function countsOf(id: string): Promise<z.infer<typeof Counts>> {
  const [counts] = await storage.db.query(
    Counts,
    `SELECT (SELECT count(*)::int FROM event_archives WHERE build_id = $1) AS archives,
       (SELECT count(*)::int FROM build_events WHERE build_id = $1) AS rows, loose_bytes AS loose
     FROM builds WHERE id = $1`,
    [id],
  );
  if (counts === undefined) throw new Error('no build');
  return counts;
}

async function readAll(id: string, afterSeq = 0): Promise<readonly NumberedEvent[]> {
  const all: NumberedEvent[] = [];
  for (let seen = afterSeq; ; ) {
    const page = await storage.feed.read(id, seen);
    all.push(...page);
    if (page.length === 0) return all;
    seen = page.at(-1)?.seq ?? seen;
  }
}

async function watched(id: string, afterSeq: number): Promise<readonly NumberedEvent[]> {
  const all: NumberedEvent[] = [];
  for await (const numbered of storage.feed.watch(id, afterSeq, new AbortController().signal)) all.push(numbered);
  return all;
}

const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('archived events', () => {
  it('read as before, from any point, while the build runs and when it has ended', async () => {
    const claim = await claimBuild(storage);
    const id = claim.buildId;
    await fill(claim, 40);
    const before = await readAll(id);
    expect(before.map(({ seq }) => seq)).toEqual(numbers(1, 320));
    expect(await archive.sweep()).toBeGreaterThan(2);
    const counts = await countsOf(id);
    expect(counts.archives).toBeGreaterThan(2);
    expect(counts.rows).toBeLessThan(40);
    expect(await readAll(id)).toEqual(before);
    const live = [0, 1, 127, 128, 319, 320].map(async (after) => [after, await watched(id, after)] as const);
    await ledger.append(claim, lines(321, 2));
    await ledger.finish(claim, cancelled);
    for (const [after, events] of await Promise.all(live)) {
      expect(events.map(({ seq }) => seq)).toEqual(numbers(after + 1, 323));
      expect(events.slice(0, 320 - after)).toEqual(before.slice(after));
    }
    expect((await readAll(id, 300)).map(({ seq }) => seq)).toEqual(numbers(301, 323));
  });

  it('leave small builds alone, and do nothing twice', async () => {
    const claim = await claimBuild(storage);
    await fill(claim, 2);
    expect(await archive.sweep()).toBe(0);
    await fill(claim, 20);
    expect(await archive.sweep()).toBeGreaterThan(0);
    expect((await countsOf(claim.buildId)).loose).toBeLessThan(1024 * 1024);
    expect(await archive.sweep()).toBe(0);
  });

  it('are made once by several processes at a time, under readers', async () => {
    const claim = await claimBuild(storage);
    const id = claim.buildId;
    const { db, content } = storage;
    const many = Array.from({ length: 4 }, () => new EventArchive({ db, content, archiveBytes: 300_000 }));
    let filling = true;
    const readers = [0, 0, 50].map((after) => watched(id, after));
    const sweeping = many.map(async (one) => {
      while (filling) await one.sweep();
    });
    await fill(claim, 60);
    filling = false;
    await Promise.all(sweeping);
    await ledger.finish(claim, cancelled);
    for (const [index, events] of (await Promise.all(readers)).entries()) {
      expect(events.map(({ seq }) => seq)).toEqual(numbers(index === 2 ? 51 : 1, 481));
    }
    expect((await countsOf(id)).archives).toBeGreaterThan(1);
  });

  it('that are lost cost a reader these and no others, and say so', async () => {
    const claim = await claimBuild(storage);
    const id = claim.buildId;
    await fill(claim, 40);
    await archive.sweep();
    await ledger.finish(claim, cancelled);
    const [second] = await storage.db.query(
      z.object({ digest: DigestSchema, first: z.coerce.number(), last: z.coerce.number() }),
      'SELECT digest, first_seq AS first, last_seq AS last FROM event_archives WHERE build_id = $1 ORDER BY first_seq OFFSET 1 LIMIT 1',
      [id],
    );
    if (second === undefined) throw new Error('one archive alone');
    await storage.content.remove(new Set([second.digest]));
    const events = await watched(id, 0);
    expect(events.map(({ seq }) => seq)).toEqual([...numbers(1, second.first - 1), ...numbers(second.last, 321)]);
    const warning = events.find(({ seq }) => seq === second.last)?.event;
    expect(warning).toMatchObject({
      type: 'warning',
      message: expect.stringContaining(
        `events ${second.first} to ${second.last} of this build have been lost`,
      ) as string,
    });
  });

  it('tell what was taken over from a part, wherever they are', async () => {
    const claim = await claimBuild(storage);
    const { buildId: id } = claim;
    const last = (part: string): Promise<number> => storage.feed.lastFrom(id, part);
    const from = (part: string, seq: number): BuildEvent => ({
      type: 'vertexStarted',
      atMs: 1,
      vertex,
      from: { part, seq },
    });
    expect(await last('a')).toBe(0);
    await ledger.append(claim, [from('a', 1), from('a', 7), from('b', 3), log('"from":{"part":"a","seq":9}')]);
    await fill(claim, 40);
    expect([await last('a'), await last('b')]).toEqual([7, 3]);
    await archive.sweep();
    expect([await last('a'), await last('b'), await last('c')]).toEqual([7, 3, 0]);
    await ledger.append(claim, [from('b', 5)]);
    expect(await last('b')).toBe(5);
  });

  it('are not written again when the answer to their commit was lost', async () => {
    const claim = await claimBuild(storage);
    const { buildId: id } = claim;
    await using flaky = new LosingDatabase({ url: storage.postgres.url, max: 2 });
    const loser = new BuildLedger({ db: flaky, redis: storage.link });
    const batch = lines(1, 60);
    await expect(loser.append(claim, batch)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await archive.sweep()).toBe(1);
    expect((await countsOf(id)).rows).toBe(0);
    expect(await loser.append(claim, batch)).toBe(60);
    expect((await readAll(id)).map(({ seq }) => seq)).toEqual(numbers(1, 60));
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
