/**
 * Webhooks of projects, and what their receivers are told (libs/storage/src/webhook-outbox.ts). `sealed`: the secret, with the
 * farm's key. `trust`: of who made it, and so of who decides over it. `data`: as it was when it happened. `lease`: the try that is under way, until `next_at`; without it, `next_at` is
 * when the next one is due. `tries`: since it was last asked for; `attempts`: the last of all.
 */
export const webhooks = {
  number: 26,
  name: 'webhooks',
  sql: `
CREATE TABLE webhooks (
  project_id text NOT NULL REFERENCES projects (id),
  id text PRIMARY KEY,
  name text,
  url text NOT NULL,
  events text[] NOT NULL,
  sealed bytea NOT NULL,
  trust smallint NOT NULL CHECK (trust BETWEEN 0 AND 4),
  enabled boolean NOT NULL DEFAULT true,
  disabled_reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_of_project ON webhooks (project_id, created_at);

CREATE TABLE webhook_deliveries (
  project_id text NOT NULL REFERENCES projects (id),
  webhook_id text NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  id text PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,
  event text NOT NULL,
  build_id text,
  data json NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  tries integer NOT NULL DEFAULT 0,
  attempts jsonb NOT NULL DEFAULT '[]',
  next_at timestamptz NOT NULL DEFAULT now(),
  lease text,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (webhook_id) WHERE lease IS NOT NULL;
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, number DESC);
`,
} as const;
