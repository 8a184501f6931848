import { type Digest, DigestSchema } from '#oci';
import { z } from 'zod';
import { bigintColumn, type Sql } from '../database.ts';

/** What refers to a blob: so many of a kind, in a project. */
export interface Reference {
  readonly digest: Digest;
  readonly kind: string;
  readonly project: string;
  readonly count: number;
  /** of one of them, for people */
  readonly name: string;
}

const Row = z.object({
  digest: DigestSchema,
  kind: z.string(),
  project: z.string(),
  count: bigintColumn,
  name: z.string(),
});

/** That image `m` knows blob `d.digest` as the list of what a layer changes: such a one may never have come to be stored. */
export const isDelta = `EXISTS (SELECT FROM json_array_elements(m.image->'variants') v, json_array_elements(v->'history') h
  WHERE h->'layer'->'delta'->>'digest' = d.digest)`;

/** That blob `d.digest` lies at a registry for a project until somebody needs it. */
export const isPlaced = (project: string): string =>
  `EXISTS (SELECT FROM blob_places p WHERE p.project_id = ${project} AND p.digest = d.digest)`;

/** That a project may see a blob: contexts, outputs, and what else was made. */
export const GRANT = 'grant';

const simple = (kind: string, table: string, name: string, on: string): string =>
  `SELECT d.digest, '${kind}' AS kind, t.project_id AS project, count(*) AS count, min(${name}) AS name
   FROM d JOIN ${table} t ON ${on} GROUP BY 1, 3`;

const TEXT = `WITH d AS (SELECT digest FROM unnest($1::text[]) AS d (digest))
  SELECT d.digest, 'result' AS kind, t.project_id AS project, count(*) AS count, min(t.id) AS name
  FROM d JOIN results t ON t.blobs @> ARRAY[d.digest] WHERE NOT ${isPlaced('t.project_id')} GROUP BY 1, 3
  UNION ALL
  SELECT d.digest, 'image', m.project_id, count(*), min(m.digest)
  FROM d JOIN image_blobs i ON i.blob = d.digest AND i.kept JOIN images m USING (project_id, scope_id)
  WHERE m.digest = i.digest AND NOT ${isDelta} GROUP BY 1, 3
  UNION ALL ${[
    simple('cache mount', 'cache_mount_versions', 't.mount', 't.blobs @> ARRAY[d.digest]'),
    simple('layer variant', 'layer_variants', 't.key', 't.digest = d.digest'),
    simple('delta of a layer', 'layer_deltas', 't.diff_id', 't.digest = d.digest'),
    simple('fetched file', 'fetched_files', 't.url_sha256', 't.digest = d.digest'),
    simple('fetched tree', 'fetched_trees', 't.key', 't.manifest_digest = d.digest'),
    simple('log', 'event_archives', 't.build_id', 't.digest = d.digest'),
    simple(GRANT, 'grants', 't.digest', 't.digest = d.digest'),
  ].join(' UNION ALL ')}`;

/** All that refers to these blobs and needs their bytes here. */
export async function referencesTo(sql: Sql, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, Reference[]>> {
  return Map.groupBy(await sql.query(Row, TEXT, [digests]), ({ digest }) => digest);
}

interface Source {
  readonly table: string;
  /** its primary key, or another one; those that are no text with their type */
  readonly keys: readonly (readonly [name: string, type?: 'bigint'])[];
  /** an array */
  readonly digests: string;
  readonly where?: string;
}

/** Everything that names blobs. */
const sources: readonly Source[] = [
  { table: 'results', keys: [['version', 'bigint']], digests: 'blobs' },
  {
    table: 'cache_mount_versions',
    keys: [['project_id'], ['scope_id'], ['mount'], ['version', 'bigint']],
    digests: 'blobs',
  },
  { table: 'layer_variants', keys: [['project_id'], ['key']], digests: 'ARRAY[digest]' },
  { table: 'layer_deltas', keys: [['project_id'], ['diff_id']], digests: 'ARRAY[digest]' },
  { table: 'fetched_files', keys: [['project_id'], ['url_sha256']], digests: 'ARRAY[digest]' },
  { table: 'fetched_trees', keys: [['project_id'], ['key']], digests: 'ARRAY[manifest_digest]' },
  {
    table: 'image_blobs',
    keys: [['project_id'], ['scope_id'], ['digest'], ['blob']],
    digests: 'ARRAY[blob]',
    where: 'kept',
  },
  { table: 'event_archives', keys: [['build_id'], ['first_seq', 'bigint']], digests: 'ARRAY[digest]' },
  { table: 'grants', keys: [['project_id'], ['digest']], digests: 'ARRAY[digest]' },
];

const Page = z.object({ rows: bigintColumn, last: z.array(z.string()).nullable(), dangling: z.array(DigestSchema) });
const ROWS = 1_000;

/** A page of a table that begins after a key. */
function pageText({ table, keys, digests, where = 'true' }: Source, begun: boolean): string {
  const names = keys.map(([name]) => name).join(', ');
  const given = keys.map(([, type = 'text'], at) => `$${at + 1}::${type}`).join(', ');
  const order = keys.map(([name]) => `${name} DESC`).join(', ');
  return `WITH page AS MATERIALIZED (
      SELECT ${names}, ${digests} AS named FROM ${table}
      WHERE ${where}${begun ? ` AND (${names}) > (${given})` : ''} ORDER BY ${names} LIMIT ${ROWS})
    SELECT count(*) AS rows,
      (SELECT ARRAY[${keys.map(([name]) => `${name}::text`).join(', ')}] FROM page ORDER BY ${order} LIMIT 1) AS last,
      ARRAY(SELECT DISTINCT d FROM page CROSS JOIN unnest(page.named) AS d LEFT JOIN blobs b ON b.digest = d
        WHERE b.digest IS NULL OR b.removed_at IS NOT NULL) AS dangling
    FROM page`;
}

/** Blobs that something names and the index does not know, or has taken out of use: page by page of all tables. */
export async function* danglingReferences(sql: Sql, signal?: AbortSignal): AsyncIterable<readonly Digest[]> {
  for (const source of sources) {
    for (let last: readonly string[] = [], rows = ROWS; rows === ROWS; ) {
      signal?.throwIfAborted();
      const [page] = await sql.query(Page, pageText(source, last.length > 0), last);
      rows = page?.rows ?? 0;
      last = page?.last ?? [];
      yield page?.dangling ?? [];
    }
  }
}
