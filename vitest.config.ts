import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const conditions = {
  resolve: { conditions: ['kiln-source'] },
  ssr: { resolve: { conditions: ['kiln-source', 'node', 'default'] } },
};

/** Short files that take minutes: begun last, each would be waited for alone. */
const long = ['conformance/conformance', 'golden/golden', 'differential/differential', 'metamorphic/edits'];

/** Larger files first, as Vitest has it, and before them those whose size says nothing. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): number =>
      Number(long.some((name) => moduleId.endsWith(`/test/${name}.test.ts`)));
    return (await super.sort(files)).toSorted((a, b) => isLong(b) - isLong(a));
  }
}

export default defineConfig({
  ...conditions,
  test: {
    sequence: { sequencer: LongestFirst },
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
