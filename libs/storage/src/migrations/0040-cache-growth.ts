/** How large each project's cache was, day by day, and what was taken out of it. See libs/storage/src/cache-growth.ts. */
export const cacheGrowth = {
  number: 40,
  name: 'cache growth',
  sql: `
CREATE TABLE cache_sizes (
  project_id text NOT NULL REFERENCES projects (id),
  day date NOT NULL,
  bytes bigint NOT NULL,
  results bigint NOT NULL,
  PRIMARY KEY (project_id, day)
);

CREATE TABLE cache_removals (
  project_id text NOT NULL REFERENCES projects (id),
  day date NOT NULL,
  reason text NOT NULL CHECK (reason IN ('evicted', 'lost', 'disowned')),
  results bigint NOT NULL,
  bytes bigint NOT NULL,
  cost_ms double precision NOT NULL,
  PRIMARY KEY (project_id, day, reason)
);
`,
} as const;
