/** Layers that an output has in another compression, or with other times, by what was asked. */
export const layerVariants = {
  number: 5,
  name: 'layer-variants',
  sql: `
CREATE TABLE layer_variants (
  project_id text NOT NULL REFERENCES projects (id),
  key text NOT NULL,
  media_type text NOT NULL,
  digest text NOT NULL,
  size_bytes bigint NOT NULL,
  diff_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, key)
);
CREATE INDEX layer_variants_by_digest ON layer_variants (project_id, digest);
`,
} as const;
