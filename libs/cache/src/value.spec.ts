import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastValuable, valueOf, type Worth } from './value.ts';

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const worth = (more: Partial<Worth> = {}): Worth => ({ costMs: 1000, uses: 1, idleMs: 0, bytes: MIB, ...more });

const anyWorth = fc.record({
  costMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  uses: fc.nat(1_000_000),
  idleMs: fc.double({ min: 0, max: 1e11, noNaN: true }),
  bytes: fc.double({ min: 0, max: 1e12, noNaN: true }),
});

describe('the value of a result', () => {
  it('is what keeping a byte of it saves', () => {
    expect(valueOf(worth({ costMs: 2000 }))).toBe(2 * valueOf(worth()));
    expect(valueOf(worth({ bytes: 2 * MIB }))).toBe(valueOf(worth()) / 2);
    expect(valueOf(worth({ uses: 3 }))).toBe(2 * valueOf(worth()));
    expect(valueOf(worth({ idleMs: DAY_MS }))).toBe(valueOf(worth()) / 2);
  });

  it('is finite and above nothing, whatever a clock or a counter said', () => {
    fc.assert(
      fc.property(anyWorth, (each) => {
        const value = valueOf(each);
        expect(Number.isFinite(value) && value > 0).toBe(true);
      }),
    );
    expect(valueOf(worth({ idleMs: -5 }))).toBe(valueOf(worth()));
  });
});

describe('what goes first', () => {
  const costly = worth({ costMs: 60_000 });
  const cheap = worth({ costMs: 100 });
  const large = worth({ costMs: 1000, bytes: 500 * MIB });

  it('is cheap to make again for its size', () => {
    expect(leastValuable([costly, cheap, large], MIB)).toEqual([large]);
    expect(leastValuable([costly, cheap, large], 501 * MIB)).toEqual([large, cheap]);
  });

  it('is as little as is enough, and nothing where nothing has to go', () => {
    expect(leastValuable([costly, cheap], 0)).toEqual([]);
    fc.assert(
      fc.property(fc.array(anyWorth, { maxLength: 30 }), fc.double({ min: 0, max: 1e13, noNaN: true }), (all, need) => {
        const chosen = leastValuable(all, need);
        const sum = (some: readonly Worth[]): number => some.reduce((bytes, each) => bytes + each.bytes, 0);
        if (chosen.length < all.length) expect(sum(chosen)).toBeGreaterThanOrEqual(need);
        expect(chosen.length === 0 || sum(chosen.slice(0, -1)) < need).toBe(true);
        const kept = all.filter((each) => !chosen.includes(each));
        for (const each of kept) for (const gone of chosen) expect(valueOf(each)).toBeGreaterThanOrEqual(valueOf(gone));
      }),
    );
  });
});
