import { z } from 'zod';
import { DigestSchema } from '#oci';
import {
  type BuildEvent,
  ComparedBuild,
  HitSource,
  MissCause,
  type PlannedVertex,
  StepState,
  type StepView,
} from '#protocol';
import type { Sql } from './database.ts';

interface BuildKey {
  readonly projectId: string;
  readonly buildId: string;
}

/** What events said of one vertex; absent says nothing new. */
interface StepPatch {
  readonly state: z.infer<typeof StepState>;
  readonly startedAt?: Date;
  readonly durationMs?: number;
  readonly hit?: HitSource | undefined;
  readonly miss?: string | undefined;
  readonly cause?: MissCause | undefined;
  readonly compared?: ComparedBuild | undefined;
  readonly empty?: boolean | undefined;
}

/** Text columns hold no NUL; events keep it. */
const printable = (text: string): string => text.replaceAll('\0', '\ufffd');

const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

function patchOf(event: BuildEvent): { readonly vertex: string; readonly patch: StepPatch } | undefined {
  switch (event.type) {
    case 'vertexStarted':
      return { vertex: event.vertex, patch: { state: 'running', startedAt: new Date(event.atMs) } };
    case 'vertexDone': {
      const { vertex, outcome: state, durationMs, hit, miss, cause, compared, empty } = event;
      return { vertex, patch: { state, durationMs, hit, miss, cause, compared, empty } };
    }
    case 'vertexFailed': {
      const { vertex, durationMs, miss, cause, compared } = event;
      return { vertex, patch: { state: 'failed', durationMs, miss, cause, compared } };
    }
    default:
      return undefined;
  }
}

/** Brings the step table to what a batch of events says, in the transaction that stores them. */
export async function foldSteps(sql: Sql, build: BuildKey, events: readonly BuildEvent[]): Promise<void> {
  let patches = new Map<string, StepPatch>();
  for (const event of events) {
    if (event.type === 'planned') {
      await applyPatches(sql, build, patches);
      patches = new Map();
      await plan(sql, build, event.vertices);
    } else if (event.type === 'failed' || event.type === 'cancelled') {
      await applyPatches(sql, build, patches);
      patches = new Map();
      await cancelOpen(sql, build);
    }
    const found = patchOf(event);
    if (found !== undefined) patches.set(found.vertex, { ...patches.get(found.vertex), ...found.patch });
  }
  await applyPatches(sql, build, patches);
}

/** A take-over plans again: what it plans is what is shown. */
async function plan(sql: Sql, { projectId, buildId }: BuildKey, vertices: readonly PlannedVertex[]): Promise<void> {
  await sql.execute('DELETE FROM steps WHERE build_id = $1', [buildId]);
  await sql.execute(
    `INSERT INTO steps (project_id, build_id, vertex, position, name, stage, line, step)
     SELECT $1, $2, * FROM unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::int[], $8::bool[])
     ON CONFLICT DO NOTHING`,
    [
      projectId,
      buildId,
      vertices.map(({ vertex }) => vertex),
      vertices.map((_, position) => position),
      vertices.map(({ name }) => printable(name)),
      vertices.map(({ stage }) => printable(stage)),
      vertices.map(({ line }) => line),
      vertices.map(({ step }) => step),
    ],
  );
}

async function applyPatches(sql: Sql, { buildId }: BuildKey, patches: ReadonlyMap<string, StepPatch>): Promise<void> {
  if (patches.size === 0) return;
  const values = [...patches.values()];
  await sql.execute(
    `UPDATE steps SET state = p.state, started_at = coalesce(p.started_at, steps.started_at),
       duration_ms = coalesce(p.duration_ms, steps.duration_ms), hit = coalesce(p.hit, steps.hit),
       miss = coalesce(p.miss, steps.miss), empty = coalesce(p.empty, steps.empty),
       cause = coalesce(p.cause, steps.cause), compared = coalesce(p.compared, steps.compared)
     FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::float8[], $6::json[], $7::text[], $8::bool[], $9::json[], $10::json[])
       AS p (vertex, state, started_at, duration_ms, hit, miss, empty, cause, compared)
     WHERE steps.build_id = $1 AND steps.vertex = p.vertex`,
    [
      buildId,
      [...patches.keys()],
      values.map(({ state }) => state),
      values.map(({ startedAt }) => startedAt ?? null),
      values.map(({ durationMs }) => durationMs ?? null),
      values.map(({ hit }) => json(hit)),
      values.map(({ miss }) => (miss === undefined ? null : printable(miss))),
      values.map(({ empty }) => empty ?? null),
      values.map(({ cause }) => json(cause)),
      values.map(({ compared }) => json(compared)),
    ],
  );
}

async function cancelOpen(sql: Sql, { buildId }: BuildKey): Promise<void> {
  await sql.execute("UPDATE steps SET state = 'cancelled' WHERE build_id = $1 AND state IN ('pending', 'running')", [
    buildId,
  ]);
}

const StepRow = z.object({
  vertex: DigestSchema,
  name: z.string(),
  stage: z.string(),
  line: z.int(),
  step: z.boolean(),
  state: StepState,
  started_at: z.date().nullable(),
  duration_ms: z.number().nullable(),
  hit: HitSource.nullable(),
  miss: z.string().nullable(),
  cause: MissCause.nullable(),
  compared: ComparedBuild.nullable(),
  empty: z.boolean(),
});

/** Every vertex of the plan, in its order; none before there is a plan. */
export async function readSteps(sql: Sql, buildId: string): Promise<readonly StepView[]> {
  const rows = await sql.query(
    StepRow,
    `SELECT vertex, name, stage, line, step, state, started_at, duration_ms, hit, miss, cause, compared, empty
     FROM steps WHERE build_id = $1 ORDER BY position`,
    [buildId],
  );
  return rows.map(({ started_at: startedAt, duration_ms: durationMs, ...row }) => ({
    ...row,
    startedAt: startedAt?.toISOString() ?? null,
    durationMs,
  }));
}
