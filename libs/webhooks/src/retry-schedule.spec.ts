import { describe, expect, it } from 'vitest';
import { retryDelayMs } from './retry-schedule.ts';

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
