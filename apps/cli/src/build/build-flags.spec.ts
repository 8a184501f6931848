import { describe, expect, it } from 'vitest';
import { checkFlags } from './build-flags.ts';

const flags = { cache: true, progress: 'auto', network: 'default' } as const;

describe('--tag', () => {
  it.each([
    ['acme/Case', 'not an image name: "acme/Case" (names are in lower case)'],
    ['a b', 'not an image name: "a b"'],
  ])('%j is refused before anything is sent', (tag, why) => {
    expect(() => checkFlags('.', { ...flags, tag: [tag] }, {})).toThrow(`--tag: ${why}`);
  });

  it('takes what a registry takes', () => {
    const tag = ['app', '127.0.0.1:5000/acme/app:1.2'];
    expect(checkFlags('.', { ...flags, tag }, {}).tags).toEqual(tag);
  });
});
