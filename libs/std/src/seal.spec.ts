import { describe, expect, it } from 'vitest';
import { systemRandom } from './random.ts';
import { keyedDigest, seal, unseal } from './seal.ts';

const key = new Uint8Array(32).fill(7);
const plain = Buffer.from('a registry password');

describe('seal', () => {
  it('opens with the same key and purpose', () => {
    const sealed = seal(key, 'build:a', plain, systemRandom);
    expect(sealed.includes(plain)).toBe(false);
    expect(unseal(key, 'build:a', sealed)).toEqual(plain);
  });

  it('does not open for another purpose, another key or other bytes', () => {
    const sealed = seal(key, 'build:a', plain, systemRandom);
    const bent = Buffer.from(sealed);
    bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
    expect(() => unseal(key, 'build:b', sealed)).toThrow(/sealed/);
    expect(() => unseal(new Uint8Array(32), 'build:a', sealed)).toThrow(/sealed/);
    expect(() => unseal(key, 'build:a', bent)).toThrow(/sealed/);
    expect(() => unseal(key, 'build:a', sealed.subarray(0, 10))).toThrow(/sealed/);
  });
});

describe('keyedDigest', () => {
  it('tells equal values under one key and for one purpose, and nothing else', () => {
    const of = (changed: { key?: Uint8Array; purpose?: string; value?: Uint8Array }): string =>
      keyedDigest(changed.key ?? key, changed.purpose ?? 'secret:a', changed.value ?? plain);
    expect(of({})).toBe(of({}));
    expect(of({})).toMatch(/^[0-9a-f]{64}$/);
    const others = [of({ key: new Uint8Array(32) }), of({ purpose: 'secret:b' }), of({ value: Buffer.from('b') })];
    expect(new Set([of({}), ...others]).size).toBe(4);
  });
});
