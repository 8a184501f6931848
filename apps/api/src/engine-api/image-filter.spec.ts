import { digestOf } from '#oci';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { imageFilter, matchesPattern } from './image-filter.ts';

const image = (...names: readonly string[]) => ({
  ...{ digest: digestOf('a'), id: digestOf('b'), names: [...names], repositories: [], kept: true, platforms: [] },
  ...{ sizeBytes: 1, createdAt: '2026-01-01T00:00:00Z', buildId: 'b', scope: 'main' },
});

describe('--filter of docker images', () => {
  it.each([
    ['acme/app', true],
    ['acme/app:1', true],
    ['docker.io/acme/app:1', true],
    ['acme/*', true],
    ['acme/*:?', true],
    ['*/app', true],
    ['*', false],
    ['acme', false],
    ['acme/app:2', false],
  ])('reference=%s', (reference, takes) => {
    const found = image('docker.io/acme/app:1');
    expect(imageFilter(JSON.stringify({ reference: { [reference]: true } }), undefined).takes(found)).toBe(takes);
    expect(imageFilter(JSON.stringify({ reference: [reference] }), undefined).takes(found)).toBe(takes);
  });

  it('dangling tells those without a name', () => {
    const filter = imageFilter('{"dangling":{"true":true}}', undefined);
    expect([filter.dangling, filter.takes(image()), filter.takes(image('docker.io/a/b:1'))]).toEqual([
      true,
      true,
      false,
    ]);
    expect(() => imageFilter('{"before":{"x":true}}', undefined)).toThrow("invalid filter 'before'");
  });

  it('takes patterns as a shell does, and none takes long', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', '/') }),
        fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?') }),
        (text, pattern) => {
          const source = pattern.replaceAll('*', '[^/]*').replaceAll('?', '[^/]');
          expect(matchesPattern(pattern, text)).toBe(new RegExp(`^${source}$`).test(text));
        },
      ),
    );
    expect(matchesPattern('*a'.repeat(200), 'a'.repeat(199))).toBe(false);
  });
});
