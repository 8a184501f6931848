import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

describe('canonicalJson', () => {
  it('sorts keys by code unit at every depth and leaves undefined members out', () => {
    expect(canonicalJson({ b: 1, a: { d: [2, { z: 0, y: null }], c: undefined }, B: 'x' })).toBe(
      '{"B":"x","a":{"d":[2,{"y":null,"z":0}]},"b":1}',
    );
  });

  it('refuses numbers that writers spell differently', () => {
    for (const value of [0.5, Number.NaN, Infinity, 2 ** 53])
      expect(() => canonicalJson(value)).toThrow(/safe integer/);
    expect(canonicalJson(-0)).toBe('0');
  });

  it('gives one text whatever the order of members, and the text reads back as the value', () => {
    const value = fc.dictionary(
      fc.string(),
      fc.oneof(fc.string(), fc.maxSafeInteger(), fc.boolean(), fc.constant(null)),
    );
    fc.assert(
      fc.property(value, (members) => {
        const reversed = Object.fromEntries(Object.entries(members).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson({ ...members }));
        expect(JSON.parse(canonicalJson({ ...members }))).toEqual({ ...members });
      }),
    );
  });
});
