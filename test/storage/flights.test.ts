import { createCacheStore, PostgresFlights } from '#storage';
import { digestOf } from '#oci';
import type { CacheKey } from '#cache';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { flightsContract } from '../../libs/cache/src/flights.contract.ts';
import { claimBuild, startStorage, type Storage } from './farm.ts';

async function open(storage: Storage, project: string, scope = 'main') {
  const claim = await claimBuild(storage, 'one', project, scope);
  const options = { db: storage.db, redis: storage.link, claim };
  return { claim, flights: new PostgresFlights(options), store: createCacheStore(options) };
}

/** As the reconciler, after a silence. */
async function expire({ db, ledger }: Storage, buildId: string): Promise<void> {
  await db.execute("UPDATE builds SET heartbeat_at = now() - interval '1 hour' WHERE id = $1", [buildId]);
  await db.execute("UPDATE builds SET heartbeat_at = now() + interval '1 hour' WHERE id <> $1", [buildId]);
  await ledger.expired(0);
}

describe('PostgresFlights', () => {
  flightsContract(async () => {
    const storage = await startStorage();
    return {
      async build(project, scope) {
        const { claim, ...build } = await open(storage, project, scope);
        return { ...build, lose: () => expire(storage, claim.buildId) };
      },
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  });
});

describe('flights', () => {
  let storage: Storage;
  beforeAll(async () => {
    storage = await startStorage();
  });
  afterAll(() => storage[Symbol.asyncDispose]());

  const key = digestOf('key') as CacheKey;
  const step = digestOf('step');
  const rowsOf = async (project: string): Promise<readonly string[]> => {
    const rows = await storage.db.query(
      z.object({ build_id: z.string() }),
      'SELECT build_id FROM flights f JOIN projects p ON p.id = f.project_id WHERE p.name = $1',
      [project],
    );
    return rows.map((row) => row.build_id);
  };

  it.each([
    ['given back', (s: Storage, c: Awaited<ReturnType<typeof open>>['claim']) => s.ledger.release(c)],
    ['lost', (s: Storage, c: Awaited<ReturnType<typeof open>>['claim']) => expire(s, c.buildId)],
    [
      'ended',
      (s: Storage, c: Awaited<ReturnType<typeof open>>['claim']) =>
        s.ledger.finish(c, { type: 'cancelled', atMs: 1, reason: '' }),
    ],
  ])('leave no row behind when their build is %s', async (name, end) => {
    const project = `left-${name.replace(' ', '-')}`;
    const { claim, flights } = await open(storage, project);
    await flights.board(key, step);
    expect(await rowsOf(project)).toEqual([claim.buildId]);
    await end(storage, claim);
    expect(await rowsOf(project)).toEqual([]);
  });

  it('of a claim that is no more do not count, though their row is there', async () => {
    const { claim, flights } = await open(storage, 'stale');
    await flights.board(key, step);
    await storage.db.execute("UPDATE builds SET fence = nextval('build_fences') WHERE id = $1", [claim.buildId]);
    const next = await open(storage, 'stale');
    expect(await next.flights.board(key, step)).toEqual({ role: 'owner', recorded: false });
    expect(await rowsOf('stale')).toEqual([next.claim.buildId]);
  });

  it('say from which event on their build tells of the step', async () => {
    const { claim, flights } = await open(storage, 'since');
    await storage.ledger.append(claim, [{ type: 'started', atMs: 1, builderId: 'one', attempt: 1 }]);
    await flights.board(key, step);
    await storage.ledger.append(claim, [{ type: 'vertexStarted', atMs: 2, vertex: step }]);
    const passenger = await (await open(storage, 'since')).flights.board(key, step);
    const { buildId, fence } = claim;
    expect(passenger).toEqual({
      role: 'passenger',
      flight: { buildId, fence, attempt: 1, vertex: step, afterSeq: 1 },
    });
  });
});
