import { describe, expect, it } from 'vitest';
import { systemRandom } from './random.ts';
import { seal, unseal } from './seal.ts';

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
