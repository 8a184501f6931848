/**
 * A build's first events, once they are many, as blobs; the rest are rows of build_events. `loose_bytes` is the text that is
 * in rows. Inserting an archive and deleting its rows are one transaction, so that one statement sees each event once.
 */
export const eventArchives = {
  number: 3,
  name: 'event-archives',
  sql: `
ALTER TABLE builds ADD COLUMN loose_bytes bigint NOT NULL DEFAULT 0;
CREATE INDEX builds_to_archive ON builds (loose_bytes DESC) WHERE loose_bytes >= 1048576;

CREATE TABLE event_archives (
  project_id text NOT NULL,
  build_id text NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  digest text NOT NULL REFERENCES blobs (digest),
  size_bytes bigint NOT NULL,
  PRIMARY KEY (build_id, first_seq),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE,
  CHECK (first_seq <= last_seq)
);
CREATE INDEX event_archives_by_digest ON event_archives (digest);
`,
} as const;
