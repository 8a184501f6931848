import {
  type CacheSeries,
  type CacheStatistics,
  MAX_SERIES_GROUPS,
  type SeriesBy,
  type SeriesDay,
  type StatisticsBy,
} from '#protocol';
import { CacheAdmin, countBuilds, StatisticsReader } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, startStorage, type Storage } from './farm.ts';

/** A month of a busy project. */
const BUILDS = process.env['KILN_TEST_LENGTH'] === 'long' ? 10_000 : 2_000;
const DAYS = 30;
const STEPS = 4;

let storage: Storage;
let projectId: string;
/** how long each question took in the middle of five times, for whoever looks */
const tookMs = new Map<string, number>();

beforeAll(async () => {
  storage = await startStorage();
  const { db } = storage;
  const scopes = [];
  for (const scope of ['main', 'pr-1', 'pr-2']) {
    const claim = await claimBuild(storage, 'one', 'default', scope);
    ({ projectId } = claim);
    scopes.push(claim.scopes[0].id);
  }
  await db.execute(
    "UPDATE builds SET state = 'failed', finished_at = now() - interval '100 days', created_at = now() - interval '100 days'",
  );
  // Whole numbers, so that sums are the same in whatever order they are made.
  await db.execute(
    `INSERT INTO builds (project_id, id, scope_id, state, request, context_digest, context_files, context_bytes, context_sent_bytes,
       fingerprint, image_names, source_branch, source_commit, source_author, created_at, queued_at, started_at, finished_at, turn)
     SELECT $1, 'seed' || n, ($2::text[])[1 + n % 3], (ARRAY['succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled'])[1 + n % 5],
       json_build_object('dockerfile', 'Dockerfile' || CASE WHEN n % 7 = 0 THEN '.web' ELSE '' END,
         'source', json_build_object('message', 'change ' || n)),
       'sha256:' || repeat('0', 64), 1, 1, 1, 'f', ARRAY['docker.io/acme/app' || n % 11, 'docker.io/acme/app' || n % 11 || ':' || n],
       CASE WHEN n % 4 = 0 THEN NULL ELSE 'branch-' || n % 13 END, md5(n::text), 'author' || n % 5,
       at, at, at, at + interval '1 minute', 0
     FROM (SELECT n, now() - (n % ${DAYS}) * interval '1 day' - n * interval '1 second' AS at FROM generate_series(1, $3::int) AS n) g`,
    [projectId, scopes, BUILDS],
  );
  await db.execute(
    `INSERT INTO steps (project_id, build_id, vertex, position, name, stage, line, step, state, duration_ms, hit, cause)
     SELECT $1, 'seed' || n, 'sha256:' || s || repeat('0', 63), s,
       '[stage ' || s || '/${STEPS}] RUN step ' || s || ' of ' || n % 3, 'stage', s, s < ${STEPS},
       (ARRAY['hit', 'hit', 'joined', 'run', 'failed', 'cancelled'])[1 + (n * 7 + s) % 6], 10 * s + n % 100,
       CASE WHEN (n * 7 + s) % 6 < 3 THEN json_build_object('key', 'definition', 'buildId', 'b',
         'builderId', 'n', 'scope', 'main', 'savedMs', 1000 + n % 50, 'savedBytes', 4096 * s) END,
       CASE WHEN (n * 7 + s) % 6 IN (3, 4) THEN (ARRAY[
         '{"kind":"neverBuilt"}', '{"kind":"changed","changes":[{"kind":"files","source":"context","total":0,"files":[]}]}', '{"kind":"gone","reason":"evicted","at":"2026-01-01T00:00:00.000Z"}',
         '{"kind":"followed","step":{"vertex":"sha256:${'0'.repeat(64)}","name":"FROM box:1","line":1},"cause":{"kind":"changed",
           "changes":[{"kind":"image","oldName":"box:1","newName":"box:1","old":null,"new":null}]}}'])[1 + n % 4]::json END
     FROM generate_series(1, $2::int) AS n CROSS JOIN generate_series(1, ${STEPS}) AS s`,
    [projectId, BUILDS],
  );
  // As each ends, in batches of one statement: many at a time would be another way of counting.
  for (let from = 1; from <= BUILDS; from += 500)
    await db.transaction(async (sql) => {
      for (let n = from; n < from + 500; n += 5)
        await countBuilds(
          sql,
          [0, 1, 2, 3, 4].map((more) => `seed${n + more}`),
        );
    }, 120_000);
  await db.execute('ANALYZE');
});
afterAll(async () => {
  console.log([...tookMs].map(([what, ms]) => `${what}: ${ms.toFixed(1)} ms`).join('\n'));
  await storage[Symbol.asyncDispose]();
});

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const found = await work();
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const begun = performance.now();
    await work();
    took.push(performance.now() - begun);
  }
  tookMs.set(what, took.sort((a, b) => a - b)[2] ?? 0);
  return found;
}

const read = (by: StatisticsBy, more: { readonly scope?: string } = {}): Promise<CacheStatistics> =>
  timed(`statistics by ${by}${more.scope === undefined ? '' : ' of a scope'}`, () =>
    new StatisticsReader(storage.db).read(
      { projectId, project: 'default' },
      { days: DAYS + 1, by, limit: 1_000, ...more },
    ),
  );

/** Counted from the steps themselves, without what is kept. */
const Counted = z.object({
  name: z.string().nullable(),
  hits: z.string().transform(Number),
  joined: z.string().transform(Number),
  misses: z.string().transform(Number),
  followed: z.string().transform(Number),
  saved: z.number(),
  bytes: z.number(),
  spent: z.number(),
});

async function counted(name: string, where = 'true') {
  const rows = await storage.db.query(
    Counted,
    `SELECT ${name} AS name, count(*) FILTER (WHERE s.state = 'hit') AS hits, count(*) FILTER (WHERE s.state = 'joined') AS joined,
       count(*) FILTER (WHERE s.state IN ('run', 'failed')) AS misses, count(*) FILTER (WHERE s.cause->>'kind' = 'followed') AS followed,
       coalesce(sum((s.hit->>'savedMs')::float8), 0) AS saved, coalesce(sum((s.hit->>'savedBytes')::float8), 0) AS bytes,
       coalesce(sum(s.duration_ms) FILTER (WHERE s.state IN ('run', 'failed')), 0) AS spent
     FROM builds b JOIN steps s ON s.build_id = b.id JOIN scopes c ON c.id = b.scope_id
     WHERE s.step AND s.state IN ('hit', 'joined', 'run', 'failed') AND b.id LIKE 'seed%' AND ${where} GROUP BY 1`,
  );
  return new Map(
    rows.map(({ name: key, hits, joined, misses, followed, saved, bytes, spent }) => [
      key ?? '',
      { hits, joined, misses, followed, savedMs: saved, savedBytes: bytes, spentMs: spent },
    ]),
  );
}

const dayWord = "to_char((b.finished_at AT TIME ZONE 'UTC')::date, 'YYYY-MM-DD')";
const causeWord =
  "coalesce(s.cause->'cause'->'changes'->0->>'kind', s.cause->'changes'->0->>'kind', s.cause->>'reason', s.cause->>'kind')";

const series = (by: SeriesBy, limit: number): Promise<CacheSeries> =>
  timed(`series of ${limit} by ${by}`, () =>
    new StatisticsReader(storage.db).series({ projectId, project: 'default' }, { days: DAYS + 1, by, limit }),
  );

const byDay = (days: readonly SeriesDay[]) => new Map(days.map(({ day, ...counts }) => [day, counts]));

function added(parts: readonly Omit<SeriesDay, 'day'>[]): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const part of parts) for (const [name, count] of Object.entries(part)) all[name] = (all[name] ?? 0) + count;
  return all;
}

const byName = ({ groups }: CacheStatistics) => new Map(groups.map(({ name, ...counts }) => [name, counts]));

describe(`a history of ${BUILDS} builds`, () => {
  it('has the figures that its steps give, to the last digit', async () => {
    const all = (await counted("'all'")).get('all');
    const words: readonly (readonly [StatisticsBy, string])[] = [
      ['day', dayWord],
      ['scope', 'c.name'],
      ['branch', 'b.source_branch'],
      ['dockerfile', "b.request->>'dockerfile'"],
      ['step', "regexp_replace(s.name, ' [0-9]/4', '')"],
    ];
    for (const [by, name] of words) {
      const statistics = await read(by);
      expect([by, statistics.total]).toEqual([by, all]);
      expect([by, byName(statistics)]).toEqual([by, await counted(name)]);
    }
    const causes = await read('cause');
    expect(byName(causes)).toEqual(await counted(causeWord, "s.state IN ('run', 'failed')"));
    const query = { days: DAYS + 1, limit: 50 };
    const { misses } = await timed('dear misses', () =>
      new StatisticsReader(storage.db).dearMisses({ projectId, project: 'default' }, query),
    );
    const dearest =
      "concat_ws('|', b.request->>'dockerfile', regexp_replace(s.name, ' [0-9]/4', ''), s.cause->>'kind')";
    const each = await counted(dearest, "s.state IN ('run', 'failed')");
    const kinds: Readonly<Record<string, string>> = { files: 'changed', evicted: 'gone', image: 'followed' };
    for (const { dockerfile, step, cause, misses: count, followed, spentMs, last } of misses) {
      const key = [dockerfile, step, kinds[cause] ?? cause].join('|');
      expect([key, each.get(key)]).toMatchObject([key, { misses: count, followed, spentMs }]);
      expect(last?.buildId).toMatch(/^seed/);
    }
    expect(misses.map(({ spentMs }) => spentMs)).toEqual(misses.map(({ spentMs }) => spentMs).sort((a, b) => b - a));
    expect(misses.length).toBeGreaterThan(20);
    expect((await read('step', { scope: 'pr-1' })).total).toEqual((await counted('c.name')).get('pr-1'));
    expect([causes.builds, causes.cachedBuilds]).toEqual([BUILDS, await cached()]);
  });

  it('has them day by day, the groups and the others together as all that is counted', async () => {
    const names: readonly (readonly [SeriesBy, string, string?])[] = [
      ['branch', "coalesce(b.source_branch, '')"],
      ['scope', 'c.name'],
      ['step', "regexp_replace(s.name, ' [0-9]/4', '')"],
      ['cause', causeWord, "s.state IN ('run', 'failed')"],
    ];
    for (const [by, name, where] of names) {
      const all = await series(by, MAX_SERIES_GROUPS);
      const some = await series(by, 2);
      const each = await counted(`concat_ws('|', ${name}, ${dayWord})`, where);
      for (const { name: group, days } of some.groups)
        for (const { day: at, ...counts } of days)
          expect([group, at, counts]).toEqual([group, at, each.get(`${group}|${at}`)]);
      const statistics = await read(by);
      expect(some.groups.map(({ name: group, total }) => [group, total])).toEqual(
        statistics.groups.slice(0, 2).map(({ name: group, ...total }) => [group, total]),
      );
      expect([by, some.others?.groups]).toEqual([by, statistics.groups.length - 2]);
      expect(some.total).toEqual((await counted("'all'", where)).get('all'));
      expect(byDay(some.days)).toEqual(await counted(dayWord, where));
      for (const { days, groups, others, total } of [all, some]) {
        const parts = [...groups, ...(others === null ? [] : [others])];
        expect(added(parts.map((part) => part.total))).toEqual(total);
        expect(added(parts.flatMap((part) => part.days.map(({ day: _, ...counts }) => counts)))).toEqual(total);
        expect(added(days.map(({ day: _, ...counts }) => counts))).toEqual(total);
      }
    }
  });

  it('says what evicted steps cost, day by day', async () => {
    const growth = await timed('growth', () =>
      new CacheAdmin(storage.db, 1).growth({ projectId, project: 'default' }, { days: DAYS + 1 }),
    );
    const each = await counted(dayWord, "s.cause->>'reason' = 'evicted' AND s.state IN ('run', 'failed')");
    const missed = growth.days.filter(({ missed: { steps } }) => steps > 0);
    expect(new Map(missed.map(({ day, missed: { steps, spentMs } }) => [day, [steps, spentMs]]))).toEqual(
      new Map([...each].map(([day, { misses, spentMs }]) => [day, [misses, spentMs]])),
    );
    const evicted = (await read('cause')).groups.find(({ name }) => name === 'evicted');
    expect(growth.total.missed).toEqual({ steps: evicted?.misses, spentMs: evicted?.spentMs });
  });

  it('says which of many steps gave the same when they ran again', async () => {
    const { db } = storage;
    await db.execute(
      `INSERT INTO rerun_statistics (project_id, scope_id, day, step, same, different, last_at, last_build, earlier_build)
       SELECT $1, s.id, (now() AT TIME ZONE 'UTC')::date - d, 'RUN step ' || n, n % 7, greatest(n % 11 - 8, 0),
         CASE WHEN n % 11 > 8 THEN now() - d * interval '1 day' END, CASE WHEN n % 11 > 8 THEN 'last' || d END,
         CASE WHEN n % 11 > 8 THEN 'earlier' || d END
       FROM scopes s, generate_series(0, ${DAYS}) AS d, generate_series(1, 100) AS n WHERE s.project_id = $1`,
      [projectId],
    );
    await db.execute('ANALYZE rerun_statistics');
    const reruns = await timed('reruns', () =>
      new StatisticsReader(db).reruns({ projectId, project: 'default' }, { days: DAYS + 1, limit: 100 }),
    );
    const Sum = z.object({ step: z.string(), same: z.int(), different: z.int() });
    const sums = await db.query(
      Sum,
      'SELECT step, sum(same)::int AS same, sum(different)::int AS different FROM rerun_statistics GROUP BY step',
    );
    const told = reruns.steps.map(({ last: _, ...counts }) => [counts.step, counts] as const);
    expect(new Map(told)).toEqual(new Map(sums.map((row) => [row.step, row])));
    const all = (of: 'same' | 'different'): number => sums.reduce((sum, row) => sum + row[of], 0);
    const differing = reruns.steps.filter(({ different }) => different > 0);
    expect(reruns.total).toEqual({
      same: all('same'),
      different: all('different'),
      steps: 100,
      differing: differing.length,
    });
    expect(reruns.steps.slice(0, differing.length)).toEqual(differing);
    for (const { last } of differing) expect(last).toMatchObject({ buildId: 'last0', earlierBuildId: 'earlier0' });
  });

  it('is counted with another project of as many, each by itself', async () => {
    const twin = await storage.projects.ensure('twin', 'twin');
    await storage.db.execute(
      `INSERT INTO step_statistics SELECT $2, $3, day, dockerfile, step, outcome, cause, sum(steps), sum(followed), sum(saved_ms),
         sum(saved_bytes), sum(spent_ms) FROM step_statistics WHERE project_id = $1 GROUP BY day, dockerfile, step, outcome, cause`,
      [projectId, twin.projectId, twin.scopeId],
    );
    await storage.db.execute('ANALYZE step_statistics');
    const all = (await counted("'all'")).get('all');
    const both = await timed('statistics by project', () =>
      new StatisticsReader(storage.db).read(
        { projectId, project: 'default' },
        { days: DAYS + 1, by: 'project', limit: 10 },
        [projectId, twin.projectId],
      ),
    );
    expect(byName(both)).toEqual(
      new Map([
        ['default', all],
        ['twin', all],
      ]),
    );
    expect(both.total.hits).toBe(2 * (all?.hits ?? 0));
    expect(byName(await read('project'))).toEqual(new Map([['default', all]]));
  });

  it('is listed by every filter as its rows are, page by page', async () => {
    const count = async (where: string): Promise<number> => {
      const [row] = await storage.db.query(
        z.object({ n: z.string() }),
        `SELECT count(*) AS n FROM builds b WHERE b.id LIKE 'seed%' AND ${where}`,
      );
      return Number(row?.n);
    };
    const has = (condition: string): string =>
      `EXISTS (SELECT FROM steps s WHERE s.build_id = b.id AND s.step AND ${condition})`;
    const missed = (condition: string): string => has(`s.state IN ('run', 'failed') AND ${condition}`);
    const filters = [
      [{ state: ['failed' as const] }, "b.state = 'failed'"],
      [{ branch: ['branch-3'] }, "b.source_branch = 'branch-3'"],
      [
        { author: ['author2'], scope: ['main'] },
        "b.source_author = 'author2' AND b.scope_id = (SELECT id FROM scopes WHERE name = 'main')",
      ],
      [{ image: ['acme/app7'] }, "'docker.io/acme/app7' = ANY (b.image_names)"],
      [{ text: 'CHANGE 99' }, "b.request->'source'->>'message' LIKE 'change 99%' OR b.id LIKE '%change 99%'"],
      [{ step: '[stage] RUN step 2 of 1' }, missed("s.name LIKE '%RUN step 2 of 1'")],
      [{ outcome: 'joined' as const }, has("s.state = 'joined'")],
      [{ outcome: 'miss' as const, step: '[stage] RUN step 2 of 1' }, missed("s.name LIKE '%RUN step 2 of 1'")],
      [
        { outcome: 'hit' as const, step: '[stage] RUN step 2 of 1' },
        has("s.state = 'hit' AND s.name LIKE '%RUN step 2 of 1'"),
      ],
      [{ cause: 'evicted' }, missed("s.cause->>'reason' = 'evicted'")],
    ] as const;
    for (const [filter, where] of filters) {
      const asked = { ...filter, ...('state' in filter ? { state: [...filter.state] } : {}) };
      const plain = JSON.parse(JSON.stringify(asked)) as typeof asked;
      const seen: string[] = [];
      for (let before: string | undefined; ; ) {
        const page = await storage.ledger.list(projectId, { limit: 100, before, filter: plain as never });
        seen.push(...page.builds.map(({ id }) => id));
        if (page.next === null) break;
        before = page.next;
      }
      const own = seen.filter((id) => id.startsWith('seed'));
      expect([filter, own.length, new Set(own).size]).toEqual([filter, await count(`(${where})`), own.length]);
      await timed(`builds by ${Object.keys(filter).join(' and ')}`, () =>
        storage.ledger.list(projectId, { limit: 30, filter: plain as never }),
      );
    }
    await timed('builds by a text that none has', () =>
      storage.ledger.list(projectId, { limit: 30, filter: { text: 'nowhere' } }),
    );
    await timed('builds by a step that none has', () =>
      storage.ledger.list(projectId, { limit: 30, filter: { step: 'nowhere' } }),
    );
    await timed('builds', () => storage.ledger.list(projectId, { limit: 30 }));
  });
});

async function cached(): Promise<number> {
  const [row] = await storage.db.query(
    z.object({ n: z.string() }),
    `SELECT count(*) AS n FROM builds b WHERE b.id LIKE 'seed%' AND b.state = 'succeeded' AND NOT EXISTS (
       SELECT FROM steps s WHERE s.build_id = b.id AND s.step AND s.state NOT IN ('hit', 'joined'))`,
  );
  return Number(row?.n);
}
