import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { treemap } from './treemap.ts';

describe('a treemap', () => {
  it('fills its box with areas as the sizes are, and none lies on another', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 30 }), (sizes) => {
        const boxes = treemap(sizes, 600, 200);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        for (const [at, { x, y, width, height }] of boxes.entries()) {
          expect(width * height).toBeCloseTo(total === 0 ? 0 : ((sizes[at] ?? 0) / total) * 120_000, 3);
          if (width * height === 0) continue;
          expect(x).toBeGreaterThanOrEqual(-1e-6);
          expect(y).toBeGreaterThanOrEqual(-1e-6);
          expect(x + width).toBeLessThanOrEqual(600 + 1e-6);
          expect(y + height).toBeLessThanOrEqual(200 + 1e-6);
        }
        for (const [at, one] of boxes.entries())
          for (const other of boxes.slice(at + 1)) {
            const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
            const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
            if (across > 1e-6 && down > 1e-6) expect([one, other]).toBe('apart');
          }
      }),
    );
  });
});
