/**
 * People on their way to an issuer and back (libs/storage/src/sign-in-flows.ts). `sha256`: of the state that the issuer gives back,
 * `browser_sha256`: of what the browser keeps meanwhile.
 */
export const signInFlows = {
  number: 38,
  name: 'sign-in flows',
  sql: `
CREATE TABLE sign_in_flows (
  sha256 bytea PRIMARY KEY,
  browser_sha256 bytea NOT NULL,
  return_to text NOT NULL,
  project text,
  expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_flows_ended ON sign_in_flows (expires_at);
`,
} as const;
