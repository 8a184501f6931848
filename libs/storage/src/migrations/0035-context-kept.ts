/** When a project last kept a context and all its files: blobs are kept by anybody, and its manifest without its files. */
export const contextKept = {
  number: 35,
  name: 'context-kept',
  sql: 'ALTER TABLE contexts ADD COLUMN kept_at timestamptz;',
} as const;
