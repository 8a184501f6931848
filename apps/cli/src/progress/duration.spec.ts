import { expect, it } from 'vitest';
import { count, plainDuration, shortDuration, size } from './duration.ts';

it('writes durations as short as they are exact enough', () => {
  const shown = [0, -5, 940, 9_949, 21_000, 59_400, 69_000, 3_599_400, 7_400_000].map(shortDuration);
  expect(shown).toEqual(['0.0s', '0.0s', '0.9s', '9.9s', '21s', '59s', '1m 9s', '59m 59s', '2h 3m']);
  expect(shortDuration(59_700)).toBe('1m 0s');
  expect(plainDuration(81_040)).toBe('81.0s');
});

it('writes sizes in powers of 1000 and counts with separators', () => {
  expect([0, 999, 1000, 18_300_000, 999_960, 123_456_789].map(size)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '18.3 MB',
    '1.0 MB',
    '123 MB',
  ]);
  expect(count(1204)).toBe('1,204');
});
