import { describe, expect, it } from 'vitest';
import { nameInUrl } from './remote-edges.ts';

describe('nameInUrl', () => {
  it.each([
    ['https://host/a/b.txt', 'b.txt'],
    ['https://host/a/b.txt?x=/c#d', 'b.txt'],
    ['https://host/a/b/', 'b'],
    ['https://host/a%20b', 'a b'],
    ['https://host/%zz', '%zz'],
    ['https://host', '__unnamed__'],
    ['https://host/', '__unnamed__'],
    ['https://host/a/..%2f..', '__unnamed__'],
    ['https://host/a%00b', '__unnamed__'],
    [`https://host/${'x'.repeat(256)}`, '__unnamed__'],
    ['nonsense', '__unnamed__'],
  ])('%s is %s', (url, name) => {
    expect(nameInUrl(url)).toBe(name);
  });
});
