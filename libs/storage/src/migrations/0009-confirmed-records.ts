/** When a run last gave a record's result: what a step's time to live counts from. */
export const confirmedRecords = {
  number: 9,
  name: 'confirmed-records',
  sql: `
ALTER TABLE records ADD COLUMN confirmed_at_ms double precision;
UPDATE records SET confirmed_at_ms = results.finished_at_ms FROM results
  WHERE results.project_id = records.project_id AND results.scope_id = records.scope_id AND results.id = records.result_id;
ALTER TABLE records ALTER COLUMN confirmed_at_ms SET NOT NULL;
`,
} as const;
