import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLogicalLines } from './logical-lines.ts';
import { splitCommand } from './split-command.ts';
import { splitWords } from './words.ts';

const texts = (text: string): readonly string[] => readLogicalLines(text).lines.map((line) => line.text);

describe('readLogicalLines', () => {
  test('joins continued lines and leaves comments and blank lines out', () => {
    const text = 'FROM x\n\n# c\nRUN a \\\n  # in between\n\n  b \\  \n&& c\nCMD d';
    const { lines } = readLogicalLines(text);
    expect(lines.map(({ text: joined, line, endLine }) => [joined, line, endLine])).toEqual([
      ['FROM x', 1, 1],
      ['RUN a   b && c', 4, 8],
      ['CMD d', 9, 9],
    ]);
    expect(lines[1]?.emptyContinuation).toBe(8);
    expect(lines[1]?.comments).toEqual(['c']);
  });

  test('reads Windows line ends and a byte order mark', () => {
    expect(texts('\uFEFFFROM x\r\nRUN a \\\r\n b\r\n')).toEqual(['FROM x', 'RUN a  b']);
  });

  test('an escaped escape token continues nothing', () => {
    expect(texts('RUN a \\\\\nRUN b')).toEqual(['RUN a \\\\', 'RUN b']);
    expect(texts('RUN a\\')).toEqual(['RUN a']);
  });

  test('the escape directive changes the token, once and at the top', () => {
    expect(texts('# escape=`\nRUN a `\n b\\')).toEqual(['RUN a  b\\']);
    expect(texts('# a comment\n# escape=`\nRUN a `\nRUN b')).toEqual(['RUN a `', 'RUN b']);
    expect(() => texts('# escape=x\n')).toThrow("invalid escape token 'x'");
    expect(() => texts('# escape=`\n#escape=`')).toThrow('only one escape parser directive can be used');
  });

  test('bodies of here-documents belong to their instruction', () => {
    const { lines } = readLogicalLines('RUN <<A cat <<-"B"\none\nA\n\ttwo\n\tB\nCMD x');
    expect(lines.map(({ endLine }) => endLine)).toEqual([5, 6]);
    expect(lines[0]?.heredocs).toEqual([
      { name: 'A', expand: true, stripTabs: false, fileDescriptor: 0, body: 'one\n' },
      { name: 'B', expand: false, stripTabs: true, fileDescriptor: 0, body: '\ttwo\n' },
    ]);
    expect(() => texts('RUN <<A\none')).toThrow('unterminated heredoc');
    expect(texts('ENV a=<<A\nCMD x')).toHaveLength(2);
    expect(texts('RUN ["<<A"]\nCMD x')).toHaveLength(2);
    expect(texts('RUN echo $((1<<2))\nCMD x')).toHaveLength(2);
  });

  test('continuation lines join to what was split', () => {
    const part = fc.string({ unit: fc.constantFrom(...'ab $"=-'), minLength: 1 }).filter((text) => text.trim() !== '');
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), fc.constantFrom('\\', '`'), (parts, escape) => {
        const head = `# escape=${escape}\n`;
        const ends = fc.sample(fc.constantFrom(`${escape}\n`, `${escape}  \r\n`, `${escape}\n# note\n`), parts.length);
        const body = parts
          .map((text, index) => (index < parts.length - 1 ? text + (ends[index] ?? '') : text))
          .join('');
        expect(texts(`${head}RUN ${body}`)).toEqual([`RUN ${parts.join('')}`]);
      }),
    );
  });
});

describe('splitCommand', () => {
  test.each([
    ['copy  --from=a --chown="x y" b c ', { keyword: 'copy', flags: ['--from=a', '--chown=x y'], rest: 'b c' }],
    ['RUN -- --x', { keyword: 'RUN', flags: [], rest: '--x' }],
    ['RUN echo --x', { keyword: 'RUN', flags: [], rest: 'echo --x' }],
    ['CMD', { keyword: 'CMD', flags: [], rest: '' }],
    ['COPY --a\\ b c', { keyword: 'COPY', flags: ['--a b'], rest: 'c' }],
  ])('%s', (line, expected) => {
    expect(splitCommand(line, '\\')).toEqual(expected);
  });
});

test('splitWords keeps quotes and escapes', () => {
  expect(splitWords('a="b c"  d\\ e \'f\\\' g\\', '\\')).toEqual(['a="b c"', 'd\\ e', "'f\\'", 'g']);
});
