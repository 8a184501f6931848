import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isKilnError } from '#std';
import { propertyRuns } from '#testing';
import { type LexedFile, readLogicalLines } from './logical-lines.ts';

const pieces = [
  'RUN',
  'COPY',
  'ENV',
  'a',
  'b=c',
  '<<A',
  '<<-B',
  '#',
  '"',
  "'",
  '\\',
  '`',
  '--x',
  '[',
  ']',
  '$x',
  '=',
  'é',
];
const blanks = [' ', '  ', '\t', '\n', '\n', '\r\n', '\\\n', '\\ \r\n', '`\n', '\nA\n', '\n\tB\n', '\n\n', '\n# c\n'];
const anyFile = fc
  .array(
    fc.oneof(fc.constantFrom(...pieces), fc.constantFrom(...blanks), fc.string({ unit: 'binary', maxLength: 4 })),
    {
      maxLength: 30,
    },
  )
  .map((parts) => parts.join(''));

/** An instruction in one line that opens no here-document and continues nothing. */
const instruction = fc
  .array(fc.constantFrom('a', 'b=c', '$x', '"q r"', "'s'", '#', '[', '=', '\t', 'é'), { maxLength: 6 })
  .map((words) => `RUN ${words.join(' ')}.`);

function lexed(text: string): LexedFile | undefined {
  try {
    return readLogicalLines(text);
  } catch (thrown) {
    expect(isKilnError(thrown, 'DOCKERFILE_INVALID')).toBe(true);
    if (!isKilnError(thrown)) throw thrown;
    expect(thrown.line).toBeGreaterThan(0);
    expect(thrown.line).toBeLessThanOrEqual(text.split('\n').length);
    return undefined;
  }
}
const texts = (text: string): readonly string[] => readLogicalLines(text).lines.map((line) => line.text);

describe('the lines of any text', () => {
  test('are each of one instruction, or blank, or a comment', () => {
    fc.assert(
      fc.property(anyFile, (text) => {
        const lines = lexed(text)?.lines ?? [];
        const covered = new Set<number>();
        let last = 0;
        for (const { line, endLine } of lines) {
          expect(line).toBeGreaterThan(last);
          expect(endLine).toBeGreaterThanOrEqual(line);
          for (last = line; last < endLine; last += 1) covered.add(last);
          covered.add(endLine);
          last = endLine;
        }
        const rest = text
          .replace(/^\uFEFF/, '')
          .split('\n')
          .filter((_, index) => !covered.has(index + 1));
        if (lexed(text) !== undefined) for (const line of rest) expect(line).toMatch(/^[\s\u0085]*(?:#|$)/);
      }),
      propertyRuns(1000),
    );
  });

  test('are all there: what was written comes out, in order, without continuations and line ends', () => {
    const word = fc.stringMatching(/^[a-z]{1,5}$/);
    const ending = fc.constantFrom('\\\n', '\\ \t\n', '\\\r\n', '\\\n# comment\n', '\\\n  # c \\\n');
    const continued = fc.array(fc.tuple(word, ending), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(fc.tuple(continued, word), { minLength: 1, maxLength: 5 }), (instructions) => {
        const written = instructions.map(([parts, end]) => `${parts.flat().join('')}${end}`).join('\n');
        const meant = instructions.map(([parts, end]) => parts.map(([text]) => text).join('') + end);
        expect(texts(written)).toEqual(meant);
      }),
      propertyRuns(300),
    );
  });
});

describe('files', () => {
  const file = fc.array(instruction, { minLength: 1, maxLength: 6 });

  test('one after the other have the lines of both', () => {
    fc.assert(
      fc.property(file, file, (one, other) => {
        expect(texts([...one, ...other].join('\n'))).toEqual([...texts(one.join('\n')), ...texts(other.join('\n'))]);
      }),
      propertyRuns(200),
    );
  });

  test('do not change with comments, blank lines and Windows line ends between instructions', () => {
    const between = fc.constantFrom('\n', '\r\n', '\n\n', '\n# c\n', '\n  #\n', '\n \t\n');
    fc.assert(
      fc.property(file, fc.array(between, { minLength: 6, maxLength: 6 }), (lines, ends) => {
        const spaced = lines.map((line, index) => `  ${line}${ends[index] ?? ''}`).join('');
        expect(texts(spaced)).toEqual(texts(lines.join('\n')));
      }),
      propertyRuns(200),
    );
  });

  test('hold the bodies of here-documents to the byte', () => {
    const body = fc.array(
      fc.string({ maxLength: 8 }).filter((line) => !/[\r\n]|^\t*END$/.test(line)),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(body, body, fc.boolean(), (first, second, strip) => {
        const [one, two] = [first, second].map((lines) => lines.map((line) => `${line}\n`).join(''));
        const { lines } = readLogicalLines(`RUN <<${strip ? '-' : ''}END cat <<END\n${one}END\n${two}END\nRUN x`);
        expect(lines).toHaveLength(2);
        expect(lines[0]?.heredocs.map(({ body }) => body)).toEqual([one, two]);
      }),
      propertyRuns(200),
    );
  });
});

describe('long runs of one thing are read in one go', () => {
  const many = 1_000_000;
  test.each([
    ['comments', '# c\n'],
    ['bare comments', '#\n'],
    ['blank lines', '\r\n'],
    ['continued comments', '# c\n', 'RUN a \\\n'],
    ['continued blank lines', '\n', 'RUN a \\\n'],
    ['continuations', 'a\\\n', 'RUN '],
    ['words of COPY', 'a \\\n', 'COPY '],
    ['here-document', 'x\n', 'RUN <<A\n', 'A\n'],
  ])(
    '%s',
    (_, unit, before = '', after = '') => {
      const text = `${before}${unit.repeat(many / unit.length)}${after}`;
      expect(readLogicalLines(`${text}\nRUN x`).lines.length).toBeLessThanOrEqual(2);
    },
    60_000,
  );

  test.each([
    ['returns', '\r', 'RUN a'],
    ['blanks', ' ', 'RUN a'],
    ['escape tokens', '\\', 'RUN a'],
    ['escape tokens apart', '\\ ', 'RUN a'],
    ['blanks after <<', ' ', 'RUN <<'],
    ['opening <', '<', 'RUN '],
    ['digits before <', '1', 'RUN '],
    ['blanks of a directive', ' ', '# escape ='],
    ['words of a directive', 'b ', '# check=skip=a'],
    ['quotes', '""', 'ENV a='],
  ])(
    '%s in one line',
    (_, unit, before) => {
      expect(lexed(`${before}${unit.repeat(60_000 / unit.length)}x<`)).not.toBeNull();
    },
    60_000,
  );

  test('a line longer than BuildKit reads is refused, of bytes and not of characters', () => {
    expect(texts(`RUN ${'x'.repeat(65_531)}\n`)).toHaveLength(1);
    expect(() => texts(`RUN y\nRUN ${'x'.repeat(65_532)}\n`)).toThrow(
      expect.objectContaining({ line: 2, message: expect.stringContaining('65535 bytes') as string }),
    );
    expect(() => texts(`# ${'é'.repeat(33_000)}\nRUN x`)).toThrow('65535 bytes');
  });

  test('an instruction with endlessly many here-documents is refused', () => {
    expect(() => texts(`RUN cat ${'<<A '.repeat(1001)}\n`)).toThrow('1001 here-documents');
  });
});
