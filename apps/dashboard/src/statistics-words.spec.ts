import { describe, expect, it } from 'vitest';
import { buildsOf, daysBetween, wordOf } from './statistics-words.ts';

describe('figures of the cache', () => {
  it('have every day, over the end of a month and of a year', () => {
    expect(daysBetween('2026-02-27', '2026-03-01')).toEqual(['2026-02-27', '2026-02-28', '2026-03-01']);
    expect(daysBetween('2026-12-31', '2027-01-01')).toEqual(['2026-12-31', '2027-01-01']);
    expect(daysBetween('2026-12-31', '2026-12-31')).toEqual(['2026-12-31']);
  });

  it('lead to the builds behind them', () => {
    expect(buildsOf('day', '2026-02-28', '2026-02-01')).toEqual({ since: '2026-02-28', until: '2026-03-01' });
    expect(buildsOf('branch', 'main', '2026-02-01')).toEqual({ branch: 'main', since: '2026-02-01' });
    expect(buildsOf('dockerfile', 'a/Dockerfile', '2026-02-01')).toEqual({ text: 'a/Dockerfile', since: '2026-02-01' });
  });

  it('say a cause as people do', () => {
    expect(['files', 'whatever'].map((name) => wordOf('cause', name))).toEqual(['files changed', 'whatever']);
    expect([wordOf('branch', ''), wordOf('branch', 'files')]).toEqual(['no branch', 'files']);
  });
});
