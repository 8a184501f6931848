import { expect, it } from 'vitest';
import { plainText } from './plain-text.ts';

it.each<[string, string]>([
  ['plain', 'plain'],
  ['\u001b[1m\u001b[31merror\u001b[0m: no', 'error: no'],
  ['\u001b[38;2;255;0;0mE\u001b[39mrror', 'Error'],
  ['\u001b[2K\u001b[1Gline', 'line'],
  ['\u001b]8;;https://x.example\u001b\\link\u001b]8;;\u001b\\', 'link'],
  ['\u001b]0;title\u0007text', 'text'],
  ['\u001bMup', 'up'],
  ['cut \u001b[3', 'cut \u001b[3'],
])('%j is %j', (line, plain) => {
  expect(plainText(line)).toBe(plain);
});

it('takes a moment for what has no end', () => {
  for (const part of ['\u001b]', '\u001b[', '\u001b[0', '\u001b[ '])
    expect(plainText(part.repeat(200_000)).length).toBeGreaterThan(0);
});
