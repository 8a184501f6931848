import { KilnError } from '#std';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  baseOf,
  cleanPath,
  comparePaths,
  decodePath,
  encodePath,
  isCleanPath,
  isWithin,
  joinPath,
  parentOf,
} from './path.ts';

/** Bytes near the edges of UTF-8, where decoders differ. */
const awkwardByte = fc.constantFrom(
  0x61,
  0x7f,
  0x80,
  0xa0,
  0xbf,
  0xc0,
  0xc2,
  0xc3,
  0xe0,
  0xed,
  0xef,
  0xf0,
  0xf4,
  0xf5,
  0xff,
);
const bytes = fc
  .oneof(fc.array(awkwardByte, { maxLength: 12 }), fc.array(fc.nat(255), { maxLength: 12 }))
  .map((list) => Buffer.from(list));
/** Names as the kernel allows them. */
const name = bytes.filter(
  (buffer) =>
    buffer.length > 0 && !buffer.includes(0x2f) && !buffer.includes(0) && !/^\.{1,2}$/.test(buffer.toString('latin1')),
);
const nameList = fc.array(name, { minLength: 1, maxLength: 4 });
const pathOf = (names: readonly Buffer[]): string => names.map(decodePath).join('/');

/** The definition, as slow as it is: component by component, each by its bytes. */
function compareComponents(a: readonly Buffer[], b: readonly Buffer[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = Buffer.compare(a[index] ?? Buffer.alloc(0), b[index] ?? Buffer.alloc(0));
    if (difference !== 0) return difference;
  }
  return Math.sign(a.length - b.length);
}

describe('decodePath and encodePath', () => {
  it('lose nothing of any bytes', () => {
    fc.assert(
      fc.property(bytes, (buffer) => {
        expect(encodePath(decodePath(buffer))).toEqual(buffer);
      }),
      { numRuns: 2000 },
    );
  });

  it('give different bytes different texts', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(decodePath(a) === decodePath(b)).toBe(a.equals(b));
      }),
      { numRuns: 1000 },
    );
  });

  it('leave UTF-8 as it is', () => {
    for (const text of ['', 'plain', 'naïve/ümlaut', '日本', '😀/x']) {
      expect(decodePath(Buffer.from(text))).toBe(text);
      expect(encodePath(text)).toEqual(Buffer.from(text));
    }
  });

  it('escape a latin-1 name byte by byte', () => {
    expect(decodePath(Buffer.of(0x63, 0xe9))).toBe('c\udce9');
  });

  it('refuse surrogates that no bytes stand for', () => {
    for (const text of ['\ud800', 'a\udc7f', '\udd00']) expect(() => encodePath(text)).toThrow(KilnError);
  });
});

describe('comparePaths', () => {
  it('is the order of components by their bytes', () => {
    fc.assert(
      fc.property(nameList, nameList, (a, b) => {
        expect(Math.sign(comparePaths(pathOf(a), pathOf(b)))).toBe(compareComponents(a, b));
      }),
      { numRuns: 2000 },
    );
  });

  it('puts what is in a directory right behind it', () => {
    const paths = ['', 'a', 'a/b', 'a/b/c', 'a/😀', 'a/\udcff', 'a-b', 'a.b', 'aa', '￿', '😀'];
    expect([...paths].reverse().sort(comparePaths)).toEqual(paths);
  });
});

describe('cleanPath', () => {
  it.each([
    ['', ''],
    ['.', ''],
    ['./a/', 'a'],
    ['a//b/./c', 'a/b/c'],
    ['a/../b', 'b'],
    ['a/..', ''],
    ['...', '...'],
  ])('makes %j %j', (given, expected) => {
    expect(cleanPath(given)).toBe(expected);
  });

  it.each(['/a', '..', '../a', 'a/../../b', 'a\0b', '/'])('refuses %j', (given) => {
    expect(() => cleanPath(given)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('gives clean paths within the root, or refuses', () => {
    const part = fc.constantFrom('a', 'b', '.', '..', '', '...', '\udce9', '/');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        let cleaned: string;
        try {
          cleaned = cleanPath(parts.join('/'));
        } catch {
          return;
        }
        expect(isCleanPath(cleaned)).toBe(true);
        expect(cleanPath(cleaned)).toBe(cleaned);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('isCleanPath', () => {
  it('knows the one spelling of every name', () => {
    fc.assert(
      fc.property(nameList, (names) => {
        expect(isCleanPath(pathOf(names))).toBe(true);
      }),
    );
  });

  // U+DCC3 U+DCA9 are the bytes of é: two spellings of one name.
  it.each(['/a', 'a/', 'a//b', '.', '..', 'a/.', 'a/../b', './a', 'a\0', '\udcc3\udca9', '\ud800'])(
    'refuses %j',
    (path) => {
      expect(isCleanPath(path)).toBe(false);
    },
  );
});

it('parents, names and joins belong together', () => {
  expect([parentOf('a/b/c'), parentOf('a'), parentOf('')]).toEqual(['a/b', '', '']);
  expect([baseOf('a/b'), baseOf('a'), baseOf('')]).toEqual(['b', 'a', '']);
  expect([joinPath('', 'a'), joinPath('a', 'b'), joinPath('a', '')]).toEqual(['a', 'a/b', 'a']);
  expect([isWithin('a/b', 'a'), isWithin('ab', 'a'), isWithin('a', 'a'), isWithin('a', '')]).toEqual([
    true,
    false,
    true,
    true,
  ]);
});
