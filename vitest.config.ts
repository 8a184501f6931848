import { defineConfig } from 'vitest/config';

const conditions = {
  resolve: { conditions: ['kiln-source'] },
  ssr: { resolve: { conditions: ['kiln-source', 'node', 'default'] } },
};

export default defineConfig({
  ...conditions,
  test: {
    projects: [
      // Pure and quick: no server, no root.
      { ...conditions, test: { name: 'unit', include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts'] } },
      // Real Postgres, Redis, registry, containers: one farm, files in turn.
      {
        ...conditions,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
