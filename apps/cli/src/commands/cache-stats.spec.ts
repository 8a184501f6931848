import type { CacheStatistics } from '#protocol';
import { describe, expect, it } from 'vitest';
import { statisticsText } from './cache-stats.ts';

const total = {
  hits: 1_010,
  joined: 12,
  misses: 182,
  followed: 90,
  savedMs: 11_520_000,
  savedBytes: 4.2e9,
  spentMs: 2_460_000,
};
const statistics = (more: Partial<CacheStatistics> = {}): CacheStatistics => ({
  project: 'shop',
  since: '2026-01-02',
  builds: 128,
  cachedBuilds: 91,
  total,
  by: 'cause',
  groups: [],
  more: false,
  ...more,
});
const none = { hits: 0, joined: 0, misses: 0, followed: 0, savedMs: 0, savedBytes: 0, spentMs: 0 };

describe('kiln cache stats', () => {
  it('sums up, and tells why steps ran', () => {
    const groups = [
      { ...none, name: 'files', misses: 88, spentMs: 60_000 },
      { ...none, name: 'other\u001b[31m', misses: 1, spentMs: 0 },
    ];
    expect(statisticsText(statistics({ groups, more: true }))).toBe(
      `Cache of the project shop since 2026-01-02
builds  128     91 of them from the cache alone
steps   1,204   84% from the cache: 1,010 hit, 12 joined
ran     182     90 only for what they stand on
saved   3h 12m  4.2 GB
spent   41m 0s

WHY STEPS RAN  STEPS  SPENT
files changed  88     1m 0s
other          1      0.0s
…
`,
    );
  });

  it('never rounds up to all, and says nothing of nothing', () => {
    const groups = [{ ...none, name: '[build] RUN make', hits: 999, misses: 1 }];
    expect(statisticsText(statistics({ by: 'step', groups }))).toContain(
      '[build] RUN make  1,000  99%     1    0.0s   0.0s',
    );
    expect(statisticsText(statistics({ builds: 0, cachedBuilds: 0, total: none }))).toContain('builds  0');
  });
});
