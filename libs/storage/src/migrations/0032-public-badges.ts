/** Whether everybody may see a project's hit ratio and how its last build ended (libs/storage/src/badge.ts). */
export const publicBadges = {
  number: 32,
  name: 'public badges',
  sql: 'ALTER TABLE projects ADD COLUMN public_badge boolean NOT NULL DEFAULT false;',
} as const;
