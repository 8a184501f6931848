import { expect, it } from 'vitest';
import { ownPath } from './own-path.ts';

it.each([
  ['/', '/'],
  ['/settings/audit?action=token', '/settings/audit?action=token'],
  ['/builds?text=https://a.example', '/builds?text=https://a.example'],
  ['', '/'],
  ['builds', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  // Browsers leave tabs and line feeds out of an address.
  ['/\t/evil.example', '/'],
  ['/\n\\evil.example', '/'],
  ['\t//evil.example', '/'],
  ['/.//evil.example', '/'],
  ['/a/..//evil.example', '/'],
  ['/%2e//evil.example', '/'],
  // Whose code it is, nobody knows.
  ['/sign-in#code=x', '/sign-in'],
])('of a link to %j it is %s', (to, expected) => {
  expect(ownPath(to)).toBe(expected);
});
