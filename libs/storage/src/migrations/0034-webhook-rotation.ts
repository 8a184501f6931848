/**
 * Of webhooks: the secret before the last change, which attempts are signed with too until `old_until`; and since when every try
 * has failed, null where the last was a delivery. The index is what due deliveries of one webhook are taken by.
 */
export const webhookRotation = {
  number: 34,
  name: 'webhook-rotation',
  sql: `
ALTER TABLE webhooks ADD COLUMN old_sealed bytea, ADD COLUMN old_until timestamptz, ADD COLUMN failing_since timestamptz;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at, number) WHERE state = 'pending';
`,
};
