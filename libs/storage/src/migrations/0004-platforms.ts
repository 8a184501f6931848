/** A build may be for several platforms: requests that name one become lists. */
export const platforms = {
  number: 4,
  name: 'platforms',
  sql: `
UPDATE builds SET request = (request::jsonb - 'platform' ||
    jsonb_build_object('platforms', jsonb_build_array(request::jsonb -> 'platform')))::json
  WHERE request::jsonb ? 'platform';
`,
} as const;
