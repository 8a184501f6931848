import { describe, expect, it } from 'vitest';
import { id } from '../progress/story.contract.ts';
import { markdownOf } from './markdown.ts';
import { failed, found, step, succeeded, warning } from './summary.contract.ts';

const compared = { buildId: '7k2x', scope: 'main', inherited: false, createdAt: '2026-01-01T00:00:00.000Z' };

describe('a build on a page', () => {
  it('tells what came of it, each step, why those ran that did, and what to do', () => {
    const copy = step(2, '[2/3] COPY . .', {
      compared,
      cause: {
        kind: 'changed',
        changes: [
          {
            kind: 'files',
            source: 'context',
            total: 12,
            files: [{ path: 'src/a_b.ts', change: 'changed', what: ['content'] }],
          },
        ],
      },
    });
    const own = copy.cause?.kind === 'changed' ? copy.cause : undefined;
    if (own === undefined) throw new Error('no cause');
    const ref = { vertex: copy.vertex, name: copy.name, line: 2 };
    const steps = [
      found(1, '[1/3] RUN apt-get update', 69_000),
      copy,
      step(3, '[3/3] RUN npm ci', { compared, durationMs: 30_000, cause: { kind: 'followed', step: ref, cause: own } }),
    ];
    expect(markdownOf(succeeded(steps), 'Dockerfile')).toBe(`### ✅ Built <code>r/a:b</code> in 8.5s

**1 of 3 steps from the cache** · **1m 9s saved** · 32s spent on what missed · 1 B sent · [build 7k3m](http://127.0.0.1:8420/b/7k3m)

- <code>r/a:b</code>
- digest <code>sha256:${'9'.padStart(64, '0')}</code>

| | step | | time | why |
|---|---|---|---|---|
| 1/3 | <code>RUN apt-get update</code> | ✔ hit | saved 1m 9s | definition key, main |
| 2/3 | <code>COPY . .</code> | ▶ miss | 1.5s | src/a&#95;b.ts changed (and 11 more files) |
| 3/3 | <code>RUN npm ci</code> | ▶ miss | 30s | followed from 2/3 |

<details>
<summary>Why steps ran, compared with 7k2x of main</summary>

- 2/3 <code>COPY . .</code>, and 1 that followed — 32s: src/a&#95;b.ts changed (and 11 more files)
  - changed <code>src/a&#95;b.ts</code>
  - … and 11 more

</details>

${[
  '> 💡 copy package.json and package-lock.json before RUN npm ci, and the rest (COPY . .) after it; what else it reads (settings, workspaces, its scripts) goes along',
  '> <code>COPY package.json package-lock.json ./</code>',
  '> <code>RUN npm ci</code>',
  '> <code>COPY . .</code>',
].join('  \n')}
`);
  });

  it('tells where and how it failed', () => {
    const story = failed({
      code: 'STEP_FAILED',
      message: 'process "/bin/sh -c make" did not complete successfully: exit code: 2',
      exitCode: 2,
      name: '[2/3] RUN make',
      vertex: id(2),
      excerpt: { file: 'Dockerfile', line: 4, firstLine: 3, lines: ['COPY . .', 'RUN make'] },
      tail: ['make: *** no rule'],
    });
    const page = markdownOf(story, 'web/Dockerfile');
    expect(page).toContain('### ❌ Failed <code>r/a:b</code> in 8.5s');
    expect(page).toContain('(<code>web/Dockerfile:4</code>)');
    expect(page).toContain('```text\nmake: *** no rule\n```');
  });

  it('lists warnings, with their lines and pages', () => {
    const page = markdownOf(
      succeeded([], [warning(3, 'StageNameCasing: lower-case it', { url: 'https://docs.example.com/rule(1)' })]),
      'Dockerfile',
    );
    expect(page).toContain('<summary>1 warning</summary>');
    expect(page).toContain(
      '- <code>Dockerfile:3</code> StageNameCasing: lower-case it ([more](https://docs.example.com/rule%281%29))',
    );
  });

  it('lets no mark-up through that a step, a file or a message brings', () => {
    const nasty =
      '[2/3] RUN echo "| </code><img src=x onerror=y> `$(id)` @team ![x](https://e.example/p) \u001b[31m**b**"';
    const story = failed(
      { code: 'STEP_FAILED', message: '<b>| x\n\n# heading', tail: ['```', '</details>', '\u001b]0;t\u0007plain'] },
      [step(2, nasty, { miss: '- <script>' })],
    );
    const page = markdownOf(story, 'Dockerfile`<b>');
    const outside = page.replace(/(`{4,})text\n[^]*?\n\1/, '');
    expect(outside).not.toMatch(/<(?!\/?(?:code|details|summary)>)/);
    expect(outside).not.toMatch(/@team|\]\(https:\/\/e\.|\*\*b\*\*|^# /m);
    expect(page).toContain('````text\n```\n</details>\nplain\n````');
    const row = page.split('\n').find((line) => line.startsWith('| 2/3')) ?? '';
    expect(row.split('|')).toHaveLength(7);
  });
});
