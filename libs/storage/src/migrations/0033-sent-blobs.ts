/**
 * What clients of a project have sent (libs/storage/src/sent-blobs.ts): `sent_at` is the project's own, unlike the time at which
 * anybody last kept the blob. `sent_totals`: the sum of its sizes, which no upload has to add up.
 */
export const sentBlobs = {
  number: 33,
  name: 'sent-blobs',
  sql: `
CREATE TABLE sent_blobs (
  project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  digest text NOT NULL,
  size_bytes bigint NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, digest)
);
CREATE INDEX sent_blobs_by_age ON sent_blobs (sent_at);
CREATE INDEX sent_blobs_of_blob ON sent_blobs (digest);
CREATE TABLE sent_totals (
  project_id text PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
  bytes bigint NOT NULL CHECK (bytes >= 0)
) WITH (fillfactor = 50);
`,
};
