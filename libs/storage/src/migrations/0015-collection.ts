/**
 * What the collector goes by. A pin counts while its build runs under its fence; what is left of it then tells how often
 * a result was `found`. `kept_at`: a client sent the blob, or may fetch it. `check_at`: when to see whether anything needs it.
 * `removed_at`: out of use, the bytes are to go; `gone_at`: they went. A row stays a while after that, so that whoever put the
 * same bytes meanwhile hears of it.
 */
export const collection = {
  number: 15,
  name: 'collection',
  sql: `
ALTER TABLE results ADD COLUMN uses integer NOT NULL DEFAULT 0, ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE result_pins (
  build_id text NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
  fence bigint NOT NULL,
  version bigint NOT NULL,
  found boolean NOT NULL,
  PRIMARY KEY (build_id, fence, version)
);
CREATE INDEX result_pins_by_version ON result_pins (version);

CREATE TABLE blob_pins (
  build_id text NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
  fence bigint NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (build_id, fence, digest)
);
CREATE INDEX blob_pins_by_digest ON blob_pins (digest);

ALTER TABLE blobs
  ADD COLUMN used_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN kept_at timestamptz,
  ADD COLUMN check_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN removed_at timestamptz,
  ADD COLUMN gone_at timestamptz;
CREATE INDEX blobs_to_check ON blobs (check_at) WHERE removed_at IS NULL;
CREATE INDEX blobs_removed ON blobs (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX grants_by_digest ON grants (digest);
CREATE INDEX fetched_trees_by_manifest ON fetched_trees (manifest_digest);
CREATE INDEX fetched_files_by_bytes ON fetched_files (digest);
CREATE INDEX layer_variants_by_bytes ON layer_variants (digest);
CREATE INDEX layer_deltas_by_bytes ON layer_deltas (digest);

-- Blobs of what was recorded before: the sizes stand in the layers. Contexts and outputs of that time are kept as if new.
INSERT INTO blobs (digest, size_bytes)
SELECT DISTINCT ON (d.digest) d.digest, d.size FROM results r, json_array_elements(r.layers) AS l,
  LATERAL (VALUES (l->'descriptor'->>'digest', (l->'descriptor'->>'size')::bigint),
                  (l->'delta'->>'digest', (l->'delta'->>'size')::bigint)) AS d (digest, size)
ON CONFLICT (digest) DO NOTHING;
INSERT INTO blobs (digest, size_bytes) SELECT digest, max(size_bytes) FROM layer_deltas GROUP BY digest ON CONFLICT DO NOTHING;
UPDATE blobs SET kept_at = now() WHERE digest IN (SELECT digest FROM grants);
`,
} as const;
