import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { csvFields } from './csv-fields.ts';

describe('one line of comma-separated values', () => {
  test.each([
    ['a', ['a']],
    ['type=bind,target=/x', ['type=bind', 'target=/x']],
    ['a,,b,', ['a', '', 'b', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""x""",y', ['say "x"', 'y']],
    ['""', ['']],
  ])('%s', (text, fields) => {
    expect(csvFields(text)).toEqual(fields);
  });

  test.each(['', 'a"b', '"a', '"a"b', 'x,"', '"""'])('%j is refused', (text) => {
    expect(() => csvFields(text)).toThrow();
  });

  test('what is written is read', () => {
    const written = (field: string): string => `"${field.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        expect(csvFields(fields.map(written).join(','))).toEqual(fields);
      }),
    );
  });
});
