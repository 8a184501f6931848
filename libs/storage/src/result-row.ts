import { z } from 'zod';
import { blobsOf, type Result, type ResultId } from '#cache';
import { type Descriptor, DescriptorSchema, DigestSchema, LayerSchema } from '#oci';
import { KilnError } from '#std';
import type { Sql } from './database.ts';

const resultId = DigestSchema.transform((digest) => digest as ResultId);

/** A result as it is kept in Redis, and as the columns of Postgres give it. */
const ResultBody = z.object({
  id: resultId,
  parents: z.array(resultId),
  layers: z.array(LayerSchema.extend({ delta: DescriptorSchema, createdAtMs: z.number().optional() })),
  tree: DigestSchema,
  empty: z.boolean(),
  costMs: z.number(),
  startedAtMs: z.number(),
  finishedAtMs: z.number(),
  producer: z.object({ buildId: z.string(), builderId: z.string(), scope: z.string() }),
});

/** `version` tells one stored result from every other that ever was: nothing under it ever changes. */
const Row = ResultBody.omit({ producer: true }).extend({
  version: z.string(),
  build: z.string(),
  builder: z.string(),
  scope: z.string(),
});

const columns = `version::text, id, parents, layers, tree, empty, cost_ms AS "costMs", started_at_ms AS "startedAtMs",
  finished_at_ms AS "finishedAtMs", producer_build AS build, producer_builder AS builder, producer_scope AS scope`;

export function parseResult(text: string): Result {
  return ResultBody.parse(JSON.parse(text));
}

/** Where a result is kept. */
export interface ResultPlace {
  readonly projectId: string;
  readonly version: string;
}

/** Those results of these places that are still there, by version. */
export async function readResults(sql: Sql, places: readonly ResultPlace[]): Promise<ReadonlyMap<string, Result>> {
  if (places.length === 0) return new Map();
  const rows = await sql.query(
    Row,
    `SELECT ${columns} FROM results WHERE (project_id, version) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))`,
    [places.map(({ projectId }) => projectId), places.map(({ version }) => version)],
  );
  return new Map(rows.map((row) => [row.version, resultOf(row)]));
}

function resultOf({ version: _version, build, builder, scope, ...rest }: z.infer<typeof Row>): Result {
  return { ...rest, producer: { buildId: build, builderId: builder, scope } };
}

/**
 * Stores a result unless the scope has it: what it is made of is in its id. Holds the row, so that it stays until the
 * transaction ends. @returns the one that is stored, and its version
 */
export async function writeResult(
  sql: Sql,
  projectId: string,
  scopeId: string,
  result: Result,
): Promise<{ readonly version: string; readonly result: Result }> {
  const { producer, layers } = result;
  await knowBlobs(
    sql,
    layers.flatMap(({ descriptor, delta }) => [descriptor, delta]),
  );
  const [stored] = await sql.query(
    Row,
    `INSERT INTO results (project_id, scope_id, id, parents, layers, blobs, tree, empty, cost_ms, size_bytes,
       started_at_ms, finished_at_ms, producer_build, producer_builder, producer_scope)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     ON CONFLICT (project_id, scope_id, id) DO UPDATE SET used_at = now() RETURNING ${columns}`,
    [
      projectId,
      scopeId,
      result.id,
      result.parents,
      JSON.stringify(layers),
      [...new Set(blobsOf(result))],
      result.tree,
      result.empty,
      result.costMs,
      result.empty ? 0 : (layers.at(-1)?.descriptor.size ?? 0),
      result.startedAtMs,
      result.finishedAtMs,
      producer.buildId,
      producer.builderId,
      producer.scope,
    ],
  );
  if (stored === undefined) throw new KilnError('INTERNAL', 'a result was not stored');
  return { version: stored.version, result: resultOf(stored) };
}

/** Makes the sizes of blobs known. */
export async function knowBlobs(sql: Sql, blobs: readonly Descriptor[]): Promise<void> {
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  const digests = [...sizes.keys()].sort();
  await sql.execute(
    `INSERT INTO blobs (digest, size_bytes) SELECT digest, size FROM unnest($1::text[], $2::bigint[]) AS g (digest, size)
     ORDER BY digest ON CONFLICT (digest) DO NOTHING`,
    [digests, digests.map((digest) => sizes.get(digest))],
  );
}
