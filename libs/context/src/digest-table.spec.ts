import { digestOf, parseDigest } from '#oci';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigestTable } from './digest-table.ts';

describe('a table of digests', () => {
  it('knows what a map knows, in the order of the digests', () => {
    const pairs = fc.array(fc.tuple(fc.nat(300), fc.nat()), { maxLength: 600 });
    fc.assert(
      fc.property(pairs, (all) => {
        const table = new DigestTable();
        const map = new Map<string, number>();
        for (const [name, value] of all) {
          const digest = digestOf(String(name));
          expect(table.add(digest, value)).toBe(map.get(digest) ?? value);
          if (!map.has(digest)) map.set(digest, value);
        }
        expect(table.size).toBe(map.size);
        for (let name = 0; name <= 300; name++)
          expect(table.get(digestOf(String(name)))).toBe(map.get(digestOf(String(name))));
        expect([...table.inOrder()].flat()).toEqual([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
      }),
    );
  });

  it('keeps apart what differs in one digit', () => {
    const table = new DigestTable();
    const digests = Array.from({ length: 64 }, (_, at) =>
      parseDigest(`sha256:${'0'.repeat(at)}1${'0'.repeat(63 - at)}`),
    );
    for (const [at, digest] of digests.entries()) table.add(digest, at);
    for (const [at, digest] of digests.entries()) expect(table.get(digest)).toBe(at);
  });
});
