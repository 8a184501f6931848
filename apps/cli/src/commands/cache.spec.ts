import { isKilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { requestOf } from './cache.ts';

const NOW = Date.parse('2026-01-02T00:00:00Z');
const HOUR_MS = 3_600_000;

describe('kiln cache prune', () => {
  it.each([
    [{}, { dryRun: false, all: false, unusedMs: 0 }],
    [
      { dryRun: true, all: true, keepStorage: '10gb' },
      { dryRun: true, all: true, unusedMs: 0, keepStorageBytes: 10 * 1024 ** 3 },
    ],
    [{ filter: ['until=24h'] }, { dryRun: false, all: false, unusedMs: 24 * HOUR_MS }],
    [{ filter: ['until=1h30m', 'until=10m'] }, { dryRun: false, all: false, unusedMs: 1.5 * HOUR_MS }],
    [{ filter: ['until=2026-01-01'] }, { dryRun: false, all: false, unusedMs: 24 * HOUR_MS }],
    [{ filter: ['until=2026-01-01T12:00:00Z'] }, { dryRun: false, all: false, unusedMs: 12 * HOUR_MS }],
  ])('asks with %j for %j', (flags, request) => {
    expect(requestOf(flags, NOW)).toEqual(request);
  });

  it.each([[{ keepStorage: 'much' }], [{ filter: ['until=soon'] }], [{ filter: ['until'] }], [{ filter: ['id=x'] }]])(
    'refuses %j',
    (flags) => {
      expect(() => requestOf(flags, NOW)).toThrow(
        expect.toSatisfy((thrown) => isKilnError(thrown, 'INVALID_ARGUMENT')),
      );
    },
  );
});
