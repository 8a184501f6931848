import { z } from 'zod';
import {
  type CacheKey,
  type KeptVertex,
  type KeyAnswer,
  type KeyBook,
  type KeyEnd,
  type OpKey,
  type PastBuild,
  readPreimage,
} from '#cache';
import { DigestSchema } from '#oci';
import { canonicalJson, type Json, type Logger, messageOf } from '#std';
import type { Claim } from './claim.ts';
import type { Database } from './database.ts';

export interface BuildKeysOptions {
  readonly db: Database;
  readonly claim: Pick<Claim, 'buildId' | 'fence' | 'projectId' | 'scopes' | 'part' | 'request'>;
  readonly logger: Logger;
}

/** A larger preimage (here-documents) is not kept; its step is explained as far as its key goes. */
const MAX_PREIMAGE_CHARACTERS = 256 * 1024;
/** Of the newest builds of a scope, and of those that had one of the operations. */
const NEWEST = 32;
const NEWEST_OF_OP = 2;

const printable = (text: string): string => text.replaceAll('\0', '\ufffd');

const EndRow = z.object({
  key: DigestSchema.transform((digest) => digest as CacheKey),
  there: z.boolean(),
  elsewhere: z.boolean(),
  reason: z.enum(['evicted', 'lost', 'disowned']).nullable(),
  gone_at: z.string().nullable(),
  detail: z.string().nullable(),
});
const VertexRow = z.object({
  vertex: DigestSchema,
  stage: z.string(),
  name: z.string(),
  line: z.int(),
  op: DigestSchema.transform((digest) => digest as OpKey),
  key: DigestSchema.transform((digest) => digest as CacheKey),
  preimage: z.unknown(),
});
const PastRow = z.object({
  id: z.string(),
  scope_id: z.string(),
  created_at: z.string(),
  vertices: z.array(VertexRow).nullable(),
});
const AnswerRow = z.object({ past: PastRow.nullable(), ends: z.array(EndRow) });

/** Keys of builds in Postgres, as one build sees them: its own scope and those that it inherits. */
export class BuildKeys implements KeyBook {
  readonly #options: BuildKeysOptions;
  #kept: Promise<void> = Promise.resolve();

  constructor(options: BuildKeysOptions) {
    this.#options = options;
  }

  keep(vertices: readonly KeptVertex[], known: boolean): void {
    // A part's steps are those of its build, which keeps them.
    if (this.#options.claim.part !== null) return;
    this.#kept = this.#kept
      .then(() => this.#write(vertices, known))
      .catch((thrown: unknown) =>
        this.#options.logger.warn('the keys of the build could not be kept', { error: messageOf(thrown) }),
      );
  }

  /** Resolves when what was given to {@link keep} is kept, or will never be. */
  async settled(): Promise<void> {
    await this.#kept;
  }

  async ask(vertices: readonly KeptVertex[], missed: readonly CacheKey[]): Promise<KeyAnswer> {
    const { db, claim } = this.#options;
    const [row] = await db.query(AnswerRow, askSql, [
      claim.projectId,
      claim.scopes.map(({ id }) => id),
      [claim.buildId, claim.part?.parentId ?? claim.buildId],
      [...new Set(vertices.map(({ op }) => op))],
      vertices.map(({ key }) => key),
      vertices.map(({ name }) => printable(name)),
      missed,
      [...new Set(claim.request.tags.map(repositoryOf))],
      claim.request.dockerfile,
      vertices.length * MAX_SCORE,
    ]);
    const ends = new Map<CacheKey, KeyEnd>();
    for (const end of row?.ends ?? []) ends.set(end.key, endOf(end));
    return { past: this.#pastOf(row?.past ?? null), ends };
  }

  #pastOf(row: z.infer<typeof PastRow> | null): PastBuild | undefined {
    const { scopes } = this.#options.claim;
    const scope = scopes.find(({ id }) => id === row?.scope_id);
    if (row === null || scope === undefined) return undefined;
    return {
      buildId: row.id,
      scope: scope.name,
      inherited: scope !== scopes[0],
      createdAt: new Date(row.created_at).toISOString(),
      vertices: (row.vertices ?? []).map(({ preimage, ...vertex }) => ({
        ...vertex,
        preimage: readPreimage(preimage),
      })),
    };
  }

  /** One statement, under the fence; what an earlier attempt planned and this one does not goes. */
  async #write(vertices: readonly KeptVertex[], known: boolean): Promise<void> {
    const { db, claim } = this.#options;
    const kept = (known ? [] : vertices).flatMap(({ key, json }) => {
      const text = canonicalJson(json);
      return text.length > MAX_PREIMAGE_CHARACTERS ? [] : [{ key, text, listings: `{${selectionsOf(json).join()}}` }];
    });
    await db.execute(
      `WITH held AS (SELECT FROM builds WHERE id = $2 AND fence = $4 AND state = 'running'),
            given AS (INSERT INTO key_preimages (project_id, key, preimage, listings)
                      SELECT DISTINCT ON (p.key) $1, p.key, p.preimage, p.listings::text[]
                      FROM unnest($11::text[], $12::json[], $13::text[]) AS p (key, preimage, listings), held
                      ORDER BY p.key ON CONFLICT DO NOTHING),
            stale AS (DELETE FROM build_keys WHERE build_id = $2 AND vertex <> ALL ($5::text[]) AND EXISTS (SELECT FROM held))
       INSERT INTO build_keys (project_id, build_id, scope_id, vertex, position, stage, name, line, op, key)
       SELECT $1, $2, $3, v.vertex, v.position, v.stage, v.name, v.line, v.op, v.key
       FROM unnest($5::text[], $6::text[], $7::text[], $8::int[], $9::text[], $10::text[])
         WITH ORDINALITY AS v (vertex, stage, name, line, op, key, position), held
       ON CONFLICT (build_id, vertex) DO UPDATE SET key = excluded.key, position = excluded.position`,
      [
        claim.projectId,
        claim.buildId,
        claim.scopes[0].id,
        claim.fence,
        vertices.map(({ vertex }) => vertex),
        vertices.map(({ stage }) => printable(stage)),
        vertices.map(({ name }) => printable(name)),
        vertices.map(({ line }) => line),
        vertices.map(({ op }) => op),
        vertices.map(({ key }) => key),
        kept.map(({ key }) => key),
        kept.map(({ text }) => text),
        kept.map(({ listings }) => listings),
      ],
    );
  }
}

function selectionsOf(json: Json): readonly string[] {
  return (readPreimage(json)?.inputs ?? []).flatMap((input) => ('selection' in input ? [input.selection] : []));
}

/** `registry.example.com/acme/web` of `registry.example.com/acme/web:4f2a1c` */
const repositoryOf = (tag: string): string => tag.replace(/:[^/:]*$/, '');

function endOf({ there, elsewhere, reason, gone_at: at, detail }: z.infer<typeof EndRow>): KeyEnd {
  if (reason === null || at === null) return { there, elsewhere };
  return { there, elsewhere, gone: { reason, at: new Date(at).toISOString(), detail: detail ?? undefined } };
}

/** What a vertex with the same key, operation and name counts. */
const MAX_SCORE = 5;

/**
 * The nearest comparable build, and what became of the missed keys. A build counts by how much of it is in this one: keys,
 * operations, names of steps, and whether it makes the same image of the same file. One that shares half goes before one that
 * does not, one that has ended before one that runs; then the nearest scope, the likeness, the newest. One that shares less than
 * a quarter is no comparison.
 */
const askSql = `
WITH scope AS (SELECT * FROM unnest($2::text[]) WITH ORDINALITY AS s (id, rank)),
candidate AS (
  SELECT c.id FROM scope s CROSS JOIN LATERAL (
    (SELECT b.id FROM builds b WHERE b.project_id = $1 AND b.scope_id = s.id AND b.parent_id IS NULL
     ORDER BY b.created_at DESC LIMIT ${NEWEST})
    UNION
    SELECT n.build_id FROM unnest($4::text[]) AS o (op) CROSS JOIN LATERAL (
      SELECT k.build_id FROM build_keys k WHERE k.project_id = $1 AND k.scope_id = s.id AND k.op = o.op
      ORDER BY k.kept_at DESC LIMIT ${NEWEST_OF_OP}) n) c
  WHERE c.id <> ALL ($3::text[])),
scored AS (
  SELECT k.build_id, sum(CASE WHEN k.key = ANY ($5::text[]) THEN 2 ELSE 0 END + CASE WHEN k.op = ANY ($4::text[]) THEN 2 ELSE 0 END
    + CASE WHEN k.name = ANY ($6::text[]) THEN 1 ELSE 0 END) AS score
  FROM build_keys k WHERE k.build_id IN (SELECT id FROM candidate) GROUP BY k.build_id),
best AS (
  SELECT b.id, b.scope_id, b.created_at
  FROM scored JOIN builds b ON b.id = scored.build_id JOIN scope s ON s.id = b.scope_id
    CROSS JOIN LATERAL (SELECT scored.score
      + CASE WHEN b.request->>'dockerfile' = $9 THEN 1 ELSE 0 END
      + CASE WHEN EXISTS (SELECT FROM json_array_elements_text(b.request->'tags') t
                          WHERE regexp_replace(t, ':[^/:]*$', '') = ANY ($8::text[])) THEN ${MAX_SCORE} ELSE 0 END AS likeness) l
  WHERE l.likeness * 4 >= $10::int
  ORDER BY l.likeness * 2 < $10::int, b.state IN ('queued', 'running'), s.rank, l.likeness DESC, b.created_at DESC LIMIT 1)
SELECT
  (SELECT json_build_object('id', best.id, 'scope_id', best.scope_id, 'created_at', best.created_at, 'vertices',
     (SELECT json_agg(json_build_object('vertex', k.vertex, 'stage', k.stage, 'name', k.name, 'line', k.line, 'op', k.op,
        'key', k.key, 'preimage', p.preimage) ORDER BY k.position)
      FROM build_keys k LEFT JOIN key_preimages p ON p.project_id = $1 AND p.key = k.key WHERE k.build_id = best.id))
   FROM best) AS past,
  (SELECT coalesce(json_agg(json_build_object('key', m.key,
     'there', EXISTS (SELECT FROM records r WHERE r.project_id = $1 AND r.scope_id = ANY ($2::text[]) AND r.key = m.key),
     'elsewhere', EXISTS (SELECT FROM scopes s JOIN records r ON r.project_id = $1 AND r.scope_id = s.id AND r.key = m.key
                          WHERE s.project_id = $1 AND s.id <> ALL ($2::text[])),
     'reason', t.reason, 'gone_at', t.gone_at, 'detail', t.detail)), '[]')
   FROM unnest($7::text[]) AS m (key) LEFT JOIN LATERAL (
     SELECT t.reason, t.gone_at, t.detail FROM record_tombstones t
     WHERE t.project_id = $1 AND t.scope_id = ANY ($2::text[]) AND t.key = m.key ORDER BY t.gone_at DESC LIMIT 1) t ON true) AS ends`;
