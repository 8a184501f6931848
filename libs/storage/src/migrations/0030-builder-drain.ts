/** An operator's wish that a builder takes no more builds (libs/storage/src/builder-registry.ts); null: it may. */
export const builderDrain = {
  number: 30,
  name: 'builder-drain',
  sql: 'ALTER TABLE builders ADD COLUMN drained_at timestamptz;',
};
