import { describe, expect, it } from 'vitest';
import { parseRetryAfter, retryDelayMs } from './retry-schedule.ts';

const drawing = (byte: number) => (size: number) => new Uint8Array(size).fill(byte);

describe('the time before a retry', () => {
  it('is that of the schedule, and a fifth more at most', () => {
    expect([1, 2, 3].map((tries) => retryDelayMs([5_000, 300_000], tries, drawing(0)))).toEqual([
      5_000,
      300_000,
      undefined,
    ]);
    expect(retryDelayMs([5_000], 1, drawing(128))).toBe(5_502);
    expect(retryDelayMs([5_000], 1, drawing(255))).toBe(6_000);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('Sun, 01 Mar 2026 12:00:00 GMT');
  it.each<[string | readonly string[] | undefined, number | null]>([
    ['120', 120_000],
    ['0', 0],
    [' 5 ', 5_000],
    ['999999', 86_400_000],
    ['Sun, 01 Mar 2026 12:01:00 GMT', 60_000],
    ['Sunday, 01-Mar-26 12:01:00 GMT', 60_000],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
    ['Sun, 01 Mar 2099 11:00:00 GMT', 86_400_000],
    ['soon', null],
    ['-5', null],
    ['1.5', null],
    ['2026', 2_026_000],
    ['', null],
    [undefined, null],
    [['1', '2'], null],
  ])('%j is bounded, or nothing', (header, ms) => {
    expect(parseRetryAfter(header, now)).toBe(ms);
  });
});
