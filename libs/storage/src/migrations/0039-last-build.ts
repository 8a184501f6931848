/** Which build ran a step last for a cause: what tells more than counts do. See libs/storage/src/dear-misses.ts. */
export const lastBuild = {
  number: 39,
  name: 'last build of a miss',
  sql: `
ALTER TABLE step_statistics ADD COLUMN last_build text;
`,
} as const;
