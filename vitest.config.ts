import { defineConfig } from 'vitest/config';

const conditions = {
  resolve: { conditions: ['kiln-source'] },
  ssr: { resolve: { conditions: ['kiln-source', 'node', 'default'] } },
};

export default defineConfig({
  ...conditions,
  test: {
    projects: [
      // Pure and quick: no server, no root. Modules are loaded once for a worker: loading them anew for each file takes
      // twice as long as all the tests.
      {
        ...conditions,
        test: {
          name: 'unit',
          include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts'],
          isolate: false,
          maxWorkers: 2,
        },
      },
      // Real Postgres, Redis, registries, containers, each file with its own: while one waits, the other has work.
      {
        ...conditions,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          // Imports its JSON as bundlers do.
          server: { deps: { inline: ['@actions/workflow-parser'] } },
          isolate: false,
          maxWorkers: 3,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
