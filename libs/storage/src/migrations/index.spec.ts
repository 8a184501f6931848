import { describe, expect, it } from 'vitest';
import { migrations } from './index.ts';

describe('migrations', () => {
  it('are numbered upwards, each once', () => {
    const numbers = migrations.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });
});
