import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SecretMask } from './secret-mask.ts';

const masked = (secret: string | Buffer, ...chunks: readonly string[]): string => {
  const stream = new SecretMask([Buffer.from(secret)]).stream();
  return chunks.map((chunk) => stream.write(chunk)).join('') + stream.end();
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('a secret in the output', () => {
  test.each([
    ['hunter22', 'it is hunter22.', 'it is ***.'],
    ['hunter22\n', 'it is hunter22.', 'it is ***.'],
    ['hunter22', 'hunter22hunter22', '******'],
    ['aaaaaa', 'aaaaaaaaa', '***aaa'],
    ['first line\nsecond line', 'second line, first line', '***, ***'],
    ['  indented value', 'is indented value', 'is ***'],
    ['short', 'it is short', 'it is short'],
    ['ünïcodé', 'x ünïcodé x', 'x *** x'],
    ['', 'nothing', 'nothing'],
  ])('%j in %j', (secret, text, shown) => {
    expect(masked(secret, text)).toBe(shown);
    expect(masked(secret, ...text)).toBe(shown);
  });

  test('in base64, alone, with a line break, and within something', () => {
    const secret = 's3cret-value!';
    expect(masked(secret, base64(secret))).toBe('***');
    expect(masked(secret, base64(`${secret}\n`))).toBe('***');
    for (const user of ['a:', 'ab:', 'abc:']) {
      const text = masked(secret, `Basic ${base64(`${user}${secret}`)}`);
      expect(text).toContain('***');
      // What is left says less than a byte at either end.
      expect(text.length).toBeLessThan('Basic '.length + base64(user).length + '***'.length + 6);
    }
    const url = Buffer.from([0xfb, 0xff, 0xfe, 0xfb, 0xff, 0xfe]);
    expect(masked(url, url.toString('base64url'))).toBe('***');
  });

  test('a long one, wrapped as base64(1) does', () => {
    const secret = Array.from({ length: 900 }, (_, index) => String.fromCharCode(33 + ((index * 7) % 90))).join('');
    const wrapped = (base64(`${secret}\n`).match(/.{1,76}/g) ?? []).join('\n');
    expect(masked(secret, wrapped).replaceAll(/\*\*\*\n?/g, '').length).toBeLessThan(6);
    const huge = secret.repeat(300);
    expect(masked(huge, huge).replaceAll('***', '').length).toBeLessThan(6);
  });

  test('what turns out to be none comes out whole, in the end', () => {
    expect(masked('hunter22', 'hunt', 'er2', '')).toBe('hunter2');
    expect(masked('hunter22', 'hunt', 'ers')).toBe('hunters');
  });

  test('of several, the longest', () => {
    const mask = new SecretMask(['password', 'password-and-more'].map((text) => Buffer.from(text)));
    expect(mask.apply('password-and-more password', true).shown).toBe('*** ***');
  });

  test('wherever the output is cut', () => {
    fc.assert(
      fc.property(fc.nat(30), fc.nat(30), (a, b) => {
        const text = 'before correct horse battery after';
        const [from = 0, to = 0] = [a, b].toSorted((x, y) => x - y);
        expect(masked('correct horse battery', text.slice(0, from), text.slice(from, to), text.slice(to))).toBe(
          'before *** after',
        );
      }),
    );
  });
});

test('without secrets there is nothing to mask', () => {
  expect(new SecretMask([]).empty).toBe(true);
  expect(new SecretMask([Buffer.from('x')]).empty).toBe(true);
});
