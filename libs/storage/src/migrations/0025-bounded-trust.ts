/**
 * `tokens.made_by`: the token that made it, which may be forgotten by now. `used_id_tokens`: hashes of id tokens until they expire,
 * with how often each was exchanged. Permissions that no version knows any more are taken away.
 *
 * `scopes.exchanged_at`: when an id token was last exchanged for a token of a scope that was made for one, to within a day.
 *
 * `image_tags.scope_id`: whose builds know what a tag stands for, of what a registry told to somebody with credentials; empty for
 * what it tells anybody.
 */
export const boundedTrust = {
  number: 25,
  name: 'bounded-trust',
  sql: `
ALTER TABLE tokens ADD COLUMN made_by text;
CREATE INDEX tokens_by_maker ON tokens (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX tokens_of_subjects ON tokens (project_id, expires_at) WHERE subject IS NOT NULL AND revoked_at IS NULL;
UPDATE tokens SET permissions = ARRAY(SELECT given FROM unnest(permissions) AS given WHERE given IN ('build', 'read', 'admin'))
WHERE NOT permissions <@ ARRAY['build', 'read', 'admin'];

ALTER TABLE scopes ADD COLUMN exchanged_at timestamptz;

DELETE FROM image_tags;
ALTER TABLE image_tags
  ADD COLUMN scope_id text NOT NULL DEFAULT '',
  DROP CONSTRAINT image_tags_pkey,
  ADD PRIMARY KEY (project_id, reference, platform, scope_id);

CREATE TABLE used_id_tokens (
  sha256 bytea PRIMARY KEY,
  expires_at timestamptz NOT NULL,
  exchanges integer NOT NULL
);
CREATE INDEX used_id_tokens_by_end ON used_id_tokens (expires_at);
`,
} as const;
