import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatGoDuration, parseGoDuration } from './go-duration.ts';
import { goQuote, goQuoteAll } from './go-format.ts';

test.each([
  ['a "b" \\', String.raw`"a \"b\" \\"`],
  ['\n\t\x01\x7f', String.raw`"\n\t\x01\x7f"`],
  ['♥한\u200b\u{1f600}', '"♥한\\u200b😀"'],
])('goQuote %j', (text, quoted) => {
  expect(goQuote(text)).toBe(quoted);
});

test('goQuoteAll', () => {
  expect(goQuoteAll(['/bin/sh', '-c', 'x "y"'])).toBe(String.raw`["/bin/sh" "-c" "x \"y\""]`);
});

test.each([
  ['30s', 30e9, '30s'],
  ['1m30s', 90e9, '1m30s'],
  ['1.5h', 5400e9, '1h30m0s'],
  ['1500ms', 1.5e9, '1.5s'],
  ['250ms', 250e6, '250ms'],
  ['1us', 1000, '1µs'],
  ['0', 0, '0s'],
  ['1.1s', 1.1e9, '1.1s'],
  ['.57us', 570, '570ns'],
  ['1.0000000019s', 1e9 + 1, '1.000000001s'],
  ['1h1h', 7200e9, '2h0m0s'],
  ['-2s', -2e9, '-2s'],
])('duration %s', (text, ns, formatted) => {
  expect(parseGoDuration(text)).toBe(ns);
  expect(formatGoDuration(ns)).toBe(formatted);
});

test('above 104 days no nanosecond would be kept', () => {
  expect(() => parseGoDuration('2502h')).toThrow('too long');
});

test.each(['', '5', 's', '1x', '1s ', '+', '.s', '1.2.3s'])('%j is no duration', (text) => {
  expect(() => parseGoDuration(text)).toThrow('invalid duration');
});

test('a duration reads back', () => {
  fc.assert(
    fc.property(fc.integer({ min: -9e15, max: 9e15 }), (ns) => {
      expect(parseGoDuration(formatGoDuration(ns))).toBe(ns);
    }),
  );
});
