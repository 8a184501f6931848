import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanLine, cutLines } from './log-text.ts';

describe('cleanLine', () => {
  it.each([
    ['cursor and screen', 'a\x1b[2Jb\x1b[10;3Hc\x1b[1Ad', 'abcd'],
    ['titles and links', '\x1b]0;owned\x07ok \x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\', 'ok here'],
    ['device control and C1', '\x1bPq#0\x1b\\x\x9b31my\x9dtitle\x07z', 'xyz'],
    ['bells, backspaces and nulls', 'a\x07\x08\x00b\x7f', 'ab'],
    ['sequences that are cut off', 'a\x1b[3', 'a'],
    ['text that would turn its direction', 'a\u202eb', 'ab'],
  ])('takes out %s', (_, line, clean) => {
    expect(cleanLine(line, false)).toBe(clean);
    expect(cleanLine(line, true)).toBe(clean);
  });

  it('keeps colours where they are wanted, and tabs', () => {
    expect(cleanLine('\x1b[31;1mred\x1b[0m\tx', true)).toBe('\x1b[31;1mred\x1b[0m\tx');
    expect(cleanLine('\x1b[31;1mred\x1b[0m\tx', false)).toBe('red\tx');
  });

  it('leaves nothing that a terminal would obey, whatever comes', () => {
    const nasty = fc.array(
      fc.constantFrom('\x1b', '[', ']', 'P', '3', '1', ';', 'm', 'H', '\x07', '\x9b', '\\', 'a', '\r', '\n'),
    );
    fc.assert(
      fc.property(nasty, (pieces) => {
        const line = pieces.join('');

        expect(cleanLine(line, false)).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/);

        expect(cleanLine(line, true).replaceAll(/\x1b\[[0-9;:]*m/g, '')).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
      }),
    );
  });
});

describe('cutLines', () => {
  it('gives the same lines in whatever pieces they come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', '\r', '\n', 'ü')),
        fc.integer({ min: 1, max: 5 }),
        (chars, width) => {
          const text = chars.join('');
          const whole = cutLines('', text);
          let rest = '';
          const lines: string[] = [];
          for (let at = 0; at < text.length; at += width) {
            const cut = cutLines(rest, text.slice(at, at + width));
            lines.push(...cut.lines);
            rest = cut.rest;
          }
          expect({ lines, rest }).toEqual(whole);
        },
      ),
    );
  });

  it('shows a progress bar as it was last, and CRLF as a line’s end', () => {
    expect(cutLines('', '10%\r50%\r100%\ndone\r\n')).toEqual({ lines: ['100%', 'done'], rest: '' });
  });

  it('does not hold a line without end', () => {
    const { lines, rest } = cutLines('x'.repeat(65_536), 'yy');
    expect([lines[0]?.length, rest]).toEqual([65_538, '']);
  });
});
