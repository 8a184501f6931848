import { digestOf } from '#oci';
import { isKilnError } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Boarding, Flight, Flights } from './flights.ts';
import type { CacheKey, CacheStore, OpKey, Result, ResultId } from './record.ts';

export interface FlyingBuild {
  readonly flights: Flights;
  readonly store: CacheStore;
  /** its builder dies, and the farm has noticed */
  lose(): Promise<void>;
}

export interface FlightsFarm extends AsyncDisposable {
  /** A new build in a scope of a project; the scope `pr` reads `main` too. */
  build(project: string, scope: 'main' | 'pr'): Promise<FlyingBuild>;
}

const key = (name: string): CacheKey => digestOf(`key ${name}`) as CacheKey;
const step = digestOf('step');
const owner = (recorded = false): Boarding => ({ role: 'owner', recorded });
const result: Result = {
  id: digestOf('result') as ResultId,
  parents: [],
  layers: [],
  tree: digestOf('tree'),
  empty: false,
  costMs: 1,
  startedAtMs: 1,
  finishedAtMs: 2,
  producer: { buildId: 'b', builderId: 'n', scope: 'main' },
};
const saved = (name: string) => ({
  key: key(name),
  kind: 'definition' as const,
  op: digestOf('op') as OpKey,
  preimage: {},
});

async function joined({ flights }: FlyingBuild, name: string): Promise<Flight> {
  const boarding = await flights.board(key(name), digestOf('step of a passenger'));
  if (boarding.role !== 'passenger') throw new Error('nobody runs the step');
  return boarding.flight;
}

/** What everyone keeps who says which steps are being run. Each test has a project of its own. */
export function flightsContract(open: () => Promise<FlightsFarm>): void {
  let farm: FlightsFarm;
  beforeAll(async () => {
    farm = await open();
  });
  afterAll(async () => {
    await farm[Symbol.asyncDispose]();
  });

  it('one build owns a step, however many ask at once', async () => {
    const builds = await Promise.all(Array.from({ length: 8 }, () => farm.build('crowd', 'main')));
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const all = await Promise.all(builds.map(({ flights }) => flights.board(key(name), step)));
      expect(all.filter(({ role }) => role === 'owner')).toEqual([owner()]);
      const flights = all.flatMap((boarding) => (boarding.role === 'passenger' ? [boarding.flight] : []));
      expect(new Set(flights.map(({ buildId }) => buildId)).size).toBe(1);
      expect(flights[0]).toMatchObject({ vertex: step, attempt: 1 });
    }
  });

  it('who owns a step owns it still when it asks again, for the same vertex', async () => {
    const build = await farm.build('again', 'main');
    expect(await build.flights.board(key('k'), step)).toEqual(owner());
    expect(await build.flights.board(key('k'), step)).toEqual(owner());
    // Two vertices of one build may have the same key.
    expect(await joined(build, 'k')).toMatchObject({ vertex: step });
  });

  it('ends when the result is saved under its key, and the next owner is told', async () => {
    const [first, second] = [await farm.build('saved', 'main'), await farm.build('saved', 'main')];
    await first.flights.board(key('k'), step);
    const flight = await joined(second, 'k');
    await first.store.save([saved('another')], result, 1);
    expect(await second.flights.isInAir(key('k'), flight)).toBe(true);
    await first.store.save([saved('k')], result, 1);
    expect(await second.flights.isInAir(key('k'), flight)).toBe(false);
    expect(await second.flights.board(key('k'), step)).toEqual(owner(true));
  });

  it('ends when it is landed, by its owner alone', async () => {
    const [first, second] = [await farm.build('landed', 'main'), await farm.build('landed', 'main')];
    await first.flights.board(key('k'), step);
    const flight = await joined(second, 'k');
    await second.flights.land(key('k'));
    await second.store.save([saved('k')], result, 1);
    expect(await second.flights.isInAir(key('k'), flight)).toBe(true);
    await first.flights.land(key('k'));
    expect(await second.flights.isInAir(key('k'), flight)).toBe(false);
    await first.flights.land(key('k'));
    expect(await second.flights.board(key('k'), step)).toEqual(owner(true));
  });

  it('ends with the claim of its build, which then does no harm to whoever takes over', async () => {
    const [first, second] = [await farm.build('dead', 'main'), await farm.build('dead', 'main')];
    await first.flights.board(key('k'), step);
    const flight = await joined(second, 'k');
    await first.lose();
    expect(await second.flights.isInAir(key('k'), flight)).toBe(false);
    expect(await second.flights.board(key('k'), step)).toEqual(owner());
    await first.flights.land(key('k'));
    const fenced = (thrown: unknown): boolean => isKilnError(thrown, 'FENCED');
    await expect(first.flights.board(key('k'), step)).rejects.toSatisfy(fenced);
    await expect(first.store.save([saved('k')], result, 1)).rejects.toSatisfy(fenced);
    const third = await farm.build('dead', 'main');
    expect((await joined(third, 'k')).fence).toBeGreaterThan(flight.fence);
    expect(await third.flights.isInAir(key('k'), flight)).toBe(false);
  });

  describe('scopes', () => {
    it('join what they may read, and nothing else', async () => {
      const [main, pr] = [await farm.build('scopes', 'main'), await farm.build('scopes', 'pr')];
      await main.flights.board(key('theirs'), step);
      expect(await joined(pr, 'theirs')).toMatchObject({ vertex: step });
      await pr.flights.board(key('own'), step);
      expect(await main.flights.board(key('own'), step)).toEqual(owner());
      // Begun before it, the flight of the other scope goes on, and the record of one is none of the other's.
      await pr.store.save([saved('own')], result, 1);
      const next = await farm.build('scopes', 'main');
      await main.flights.land(key('own'));
      expect(await next.flights.board(key('own'), step)).toEqual(owner());
    });

    it('of other projects are not seen', async () => {
      await (await farm.build('mine', 'main')).flights.board(key('k'), step);
      expect(await (await farm.build('other', 'main')).flights.board(key('k'), step)).toEqual(owner());
    });
  });
}
