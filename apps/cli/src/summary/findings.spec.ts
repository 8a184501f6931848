import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findingsOf } from './build-story.ts';
import { codeQuality } from './code-quality.ts';
import { githubCommands } from './github.ts';
import { failed, succeeded, warning } from './summary.contract.ts';

const failure = {
  code: 'STEP_FAILED',
  message: 'process "make" failed: exit code: 2',
  name: '[2/3] RUN make',
  hint: '100% of it, see\r\n::error::fake',
  excerpt: { file: 'Dockerfile', line: 4, endLine: 5, firstLine: 3, lines: ['RUN make \\', ' all'] },
};

describe('findings', () => {
  it('are workflow commands of GitHub, which nothing in them can end or begin', () => {
    expect(githubCommands(findingsOf(failed(failure), 'a,b:c/Dockerfile'))).toBe(
      '::error file=a%2Cb%3Ac/Dockerfile,line=4,endLine=5,title=kiln%3A STEP_FAILED::' +
        '[2/3] RUN make: process "make" failed: exit code: 2%0A100%25 of it, see%0A::error::fake\n',
    );
  });

  it('are, on GitHub, ten of each level', () => {
    const warnings = Array.from({ length: 30 }, (_, n) => warning(n + 1, `Rule: ${n}`));
    expect(githubCommands(findingsOf(succeeded([], warnings), 'Dockerfile')).split('\n')).toHaveLength(11);
  });

  it('are a code quality report of GitLab, in which what moves down stays the same', () => {
    const report = (line: number) =>
      z
        .array(
          z.strictObject({
            description: z.string(),
            check_name: z.string(),
            fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
            severity: z.enum(['info', 'minor', 'major', 'critical', 'blocker']),
            location: z.object({ path: z.string(), lines: z.object({ begin: z.int().positive() }) }),
          }),
        )
        .parse(
          JSON.parse(
            codeQuality(
              findingsOf(
                succeeded([], [warning(line, 'R: x'), warning(4, 'R: y'), warning(undefined, 'no place')]),
                'Dockerfile',
              ),
              'Dockerfile',
            ),
          ),
        );
    const [before, after] = [report(3), report(7)];
    expect(before.map(({ location }) => location.lines.begin)).toEqual([3, 4]);
    expect(after.map(({ fingerprint }) => fingerprint)).toEqual(before.map(({ fingerprint }) => fingerprint));
    expect(new Set(before.map(({ fingerprint }) => fingerprint)).size).toBe(2);
  });
});
