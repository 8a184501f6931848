// `npm run bench:look-up`: how long a look-up takes that finds and pins 30 steps, beside a million other records. Figures, not tests.
import { parseArgs } from 'node:util';
import type { CacheKey, ExplainedKey, OpKey, Result } from '#cache';
import { digestOf } from '#oci';
import { StoredRequest } from '#protocol';
import {
  BuildLedger,
  CacheAdmin,
  type Claim,
  createCacheStore,
  type Database,
  migrate,
  openDatabase,
  openRedis,
  ProjectStore,
} from '#storage';
import { startPostgres, startRedis } from '../../libs/testing/src/services.ts';

const { values } = parseArgs({ options: { records: { type: 'string', default: '1000000' } } });
const RECORDS = Number(values.records);
const STEPS = 30;
const CHAINS = 100;
const LOOKUPS = 1_000;

const hex = (text: string): string => `'sha256:' || md5(${text}) || md5('x' || ${text})`;

/** Half as many results as records, as many builds left them: a definition key and a content key each. */
async function fill(
  db: Database,
  { projectId, scopeId }: { readonly projectId: string; readonly scopeId: string },
): Promise<void> {
  const results = RECORDS / 2;
  await db.execute('DROP INDEX results_by_blob');
  const slice = 25_000;
  for (let from = 0; from < results; from += slice) {
    const to = Math.min(results, from + slice) - 1;
    await db.execute(
      `INSERT INTO blobs (digest, size_bytes, check_at)
       SELECT ${hex("'l' || i")}, 1000000 + i % 1000, now() + interval '1 day' FROM generate_series($1::int, $2::int) AS i`,
      [from, to],
    );
    await db.execute(
      `INSERT INTO results (project_id, scope_id, id, parents, layers, blobs, tree, empty, cost_ms, size_bytes, started_at_ms,
         finished_at_ms, producer_build, producer_builder, producer_scope)
       SELECT $1, $2, ${hex("'r' || i")}, CASE WHEN i % 30 = 0 THEN '{}' ELSE ARRAY[${hex("'r' || (i - 1)")}] END, '[]',
         ARRAY(SELECT ${hex("'l' || j")} FROM generate_series(i - i % 30, i) AS j), ${hex("'t' || i")}, false, 1000 + i % 5000,
         1000000, 1, 2, 'b', 'n', 'main' FROM generate_series($3::int, $4::int) AS i`,
      [projectId, scopeId, from, to],
    );
    await db.execute(
      `INSERT INTO records (project_id, scope_id, key, result_id, kind, op, preimage, confirmed_at_ms)
       SELECT $1, $2, ${hex('k || i')}, ${hex("'r' || i")}, CASE k WHEN 'd' THEN 'definition' ELSE 'content' END,
         ${hex("'o' || (i % 20000)")}, '{"op":{"kind":"exec","args":["/bin/sh","-c","make"]}}', 1
       FROM generate_series($3::int, $4::int) AS i, (VALUES ('d'), ('c')) AS kinds (k)`,
      [projectId, scopeId, from, to],
    );
    process.stderr.write(`\r${to + 1} of ${results} results`);
  }
  process.stderr.write('\n');
  await db.transaction(async (sql) => {
    await sql.execute('SET LOCAL statement_timeout = 0');
    await sql.execute("SET LOCAL maintenance_work_mem = '512MB'");
    await sql.execute('CREATE INDEX results_by_blob ON results USING gin (blobs)');
  });
  for (const table of ['results', 'records', 'blobs']) await db.execute(`ANALYZE ${table}`);
}

const keyOf = (chain: number, step: number): CacheKey => digestOf(`key ${chain} ${step}`) as CacheKey;
const opOf = (chain: number, step: number): OpKey => digestOf(`op ${chain % 10} ${step}`) as OpKey;

function resultOf(chain: number, step: number): Result {
  const layers = Array.from({ length: step + 1 }, (_, at) => {
    const blob = (kind: string) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: digestOf(`${kind} ${chain} ${at}`),
      size: 1000,
    });
    return { descriptor: blob('layer'), delta: blob('delta'), diffId: digestOf(`diff ${chain} ${at}`), createdAtMs: 1 };
  });
  return {
    id: digestOf(`result ${chain} ${step}`) as Result['id'],
    parents: step === 0 ? [] : [digestOf(`result ${chain} ${step - 1}`) as Result['id']],
    ...{ layers, tree: digestOf(`tree ${chain} ${step}`), empty: false, costMs: 1000, startedAtMs: 1, finishedAtMs: 2 },
    producer: { buildId: 'b', builderId: 'n', scope: 'main' },
  };
}

await using stack = new AsyncDisposableStack();
const postgres = stack.use(await startPostgres());
const redisService = stack.use(await startRedis());
const db = stack.use(openDatabase({ url: postgres.url, max: 12 }));
const redis = stack.use(openRedis({ url: redisService.url }));
await migrate(db);
const ids = await new ProjectStore(db).ensure('default', 'main');
const ledger = new BuildLedger({ db, redis });

async function claim(name: string): Promise<Claim> {
  const context = { digest: digestOf('manifest'), files: 0, sizeBytes: 0, sentBytes: 0 };
  await ledger.create({ ...ids, id: name, request: StoredRequest.parse({}), context, sealed: null, fingerprint: name });
  const claimed = await ledger.claim(name, 1, 'one');
  if (claimed === null) throw new Error('not claimed');
  return claimed;
}

await fill(db, ids);
const maker = createCacheStore({ db, redis, claim: await claim('maker') });
for (let chain = 0; chain < CHAINS; chain++) {
  for (let step = 0; step < STEPS; step++) {
    const key: ExplainedKey = { key: keyOf(chain, step), kind: 'definition', op: opOf(chain, step), preimage: {} };
    await maker.save([key], resultOf(chain, step), 1);
  }
}
await db.execute('CHECKPOINT');

/** Each by a build of its own, as builds do it. */
async function lookups(name: string, parallel: number): Promise<void> {
  const claims = await Promise.all(Array.from({ length: LOOKUPS / 10 }, (_, index) => claim(`${name}-${index}`)));
  const samples: number[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (let at = next++; at < LOOKUPS; at = next++) {
        const claimed = claims[at % claims.length];
        if (claimed === undefined) return;
        const store = createCacheStore({ db, redis, claim: claimed });
        const chain = (at * 37) % CHAINS;
        const steps = Array.from({ length: STEPS }, (_, step) => step);
        const beganMs = performance.now();
        const answer = await store.lookup(
          steps.map((step) => keyOf(chain, step)),
          steps.map((step) => opOf(chain, step)),
        );
        samples.push(performance.now() - beganMs);
        if (answer.records.size !== STEPS) throw new Error(`found ${answer.records.size}`);
      }
    }),
  );
  samples.sort((a, b) => a - b);
  const at = (part: number): string => (samples[Math.floor(samples.length * part)] ?? Number.NaN).toFixed(1);
  console.log(`${name}: median ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, most ${at(0.9999)} ms`);
}

console.log(`${RECORDS} records, ${STEPS} steps a look-up, ${LOOKUPS} look-ups`);
await lookups('one at a time', 1);
await lookups('eight at a time', 8);

async function took(name: string, work: () => Promise<unknown>): Promise<void> {
  const beganMs = performance.now();
  await work();
  console.log(`${name}: ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
}
const admin = new CacheAdmin(db, 0);
const { cacheBytes } = await admin.usage(ids.projectId);
await took('kiln cache du', () => admin.usage(ids.projectId));
const prune = { dryRun: true, all: false, unusedMs: 0, keepStorageBytes: cacheBytes - 500_000_000 };
await took('kiln cache prune --dry-run, half a gigabyte', () =>
  admin.prune({ ...ids, tokenId: null, member: null, scope: 'main', trust: 'protected' }, prune),
);
