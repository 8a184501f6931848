/** What a build's images are called, in full, each with its tag and without: builds are found by that. */
export const imageNames = {
  number: 19,
  name: 'image-names',
  sql: `
ALTER TABLE builds ADD COLUMN image_names text[] NOT NULL DEFAULT '{}';
CREATE INDEX builds_by_image ON builds USING gin (image_names);
`,
};
