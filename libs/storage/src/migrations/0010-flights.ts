/**
 * Steps that are being run, by key. A flight counts while its build is running under its very fence.
 *
 * `board_flight` is a function for its snapshots: each of its statements sees what was committed before it. So whoever becomes
 * the owner sees the records of every flight that ended before, which one statement would not (libs/storage/src/flights.ts).
 */
export const flights = {
  number: 10,
  name: 'flights',
  sql: `
CREATE TABLE flights (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  key text NOT NULL,
  build_id text NOT NULL,
  fence bigint NOT NULL,
  attempt integer NOT NULL,
  vertex text NOT NULL,
  after_seq bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, key),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE
);
CREATE INDEX flights_by_build ON flights (build_id);

CREATE FUNCTION board_flight(
  own_project text, own_scopes text[], own_key text, own_build text, own_fence bigint, own_vertex text,
  OUT role text, OUT flight_build text, OUT flight_fence bigint, OUT flight_attempt integer,
  OUT flight_vertex text, OUT flight_after bigint, OUT recorded boolean
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  own_attempt integer;
  own_seq bigint;
  alive boolean;
BEGIN
  recorded := false;
  SELECT attempt, last_seq INTO own_attempt, own_seq FROM builds WHERE id = own_build AND fence = own_fence AND state = 'running';
  IF NOT FOUND THEN
    role := 'fenced';
    RETURN;
  END IF;
  FOR tries IN 1..10 LOOP
    SELECT f.build_id, f.fence, f.attempt, f.vertex, f.after_seq, b.id IS NOT NULL
      INTO flight_build, flight_fence, flight_attempt, flight_vertex, flight_after, alive
      FROM unnest(own_scopes) WITH ORDINALITY AS s (id, rank)
      JOIN flights f ON f.project_id = own_project AND f.scope_id = s.id AND f.key = own_key
      LEFT JOIN builds b ON b.id = f.build_id AND b.fence = f.fence AND b.state = 'running'
        AND (f.build_id, f.fence, f.vertex) <> (own_build, own_fence, own_vertex)
      WHERE b.id IS NOT NULL OR s.rank = 1
      ORDER BY b.id IS NULL, s.rank LIMIT 1;
    IF alive THEN
      role := 'passenger';
      RETURN;
    END IF;
    INSERT INTO flights AS f (project_id, scope_id, key, build_id, fence, attempt, vertex, after_seq)
      VALUES (own_project, own_scopes[1], own_key, own_build, own_fence, own_attempt, own_vertex, own_seq)
      ON CONFLICT ON CONSTRAINT flights_pkey DO UPDATE SET build_id = own_build, fence = own_fence, attempt = own_attempt,
        vertex = own_vertex, after_seq = own_seq, started_at = now()
      WHERE f.build_id = flight_build AND f.fence = flight_fence AND f.vertex = flight_vertex;
    IF FOUND THEN
      role := 'owner';
      recorded := EXISTS (
        SELECT FROM records r WHERE r.project_id = own_project AND r.scope_id = ANY (own_scopes) AND r.key = own_key);
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION 'flights of % come and go too fast', own_key USING ERRCODE = 'serialization_failure';
END $$;
`,
} as const;
