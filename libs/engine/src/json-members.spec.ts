import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { jsonMembers } from './json-members.ts';

const read = async (text: string | Buffer): Promise<Readonly<Record<string, string>>> => {
  const members = await jsonMembers(Buffer.from(text), new Set(['a', 'b', '__proto__']));
  return Object.fromEntries([...members].map(([name, value]) => [name, value.toString()]));
};

/** As JSON.parse sees it. */
function parses(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

describe('members of a JSON text', () => {
  it('are given as they are written', async () => {
    expect(await read(' {"a" : [1, {"b": 2}],\n"c":{}, "\\u0062":{"x" : 1e400} } ')).toEqual({
      a: '[1, {"b": 2}]',
      b: '{"x" : 1e400}',
    });
    expect(await read('{"a":1,"a":"two"}')).toEqual({ a: '"two"' });
    expect(await read('{"a":{},"b":[]}')).toEqual({ a: '{}', b: '[]' });
    expect(await read('{}')).toEqual({});
  });

  it('are those that JSON.parse finds', async () => {
    const given = fc.record({ a: fc.jsonValue(), b: fc.jsonValue(), c: fc.jsonValue() }, { requiredKeys: ['a'] });
    await fc.assert(
      fc.asyncProperty(given, fc.constantFrom(undefined, 1, '\t'), async (value, indent) => {
        const { a, b } = await read(JSON.stringify(value, undefined, indent));
        const whole = z.object({ a: z.unknown(), b: z.unknown().optional() }).parse(JSON.parse(JSON.stringify(value)));
        expect([a, b].map((text) => (text === undefined ? undefined : (JSON.parse(text) as unknown)))).toEqual([
          whole.a,
          whole.b,
        ]);
      }),
    );
  });

  it('are refused where JSON.parse refuses them, and nowhere else', async () => {
    const letters = fc.constantFrom(...'{}[]",:\\ \n\t01.eE+-aubnt', 'true', 'null', '"a"', '{"a":1}');
    const text = fc.array(letters, { maxLength: 12 }).map((all) => `{"a":${all.join('')}}`);
    await fc.assert(
      fc.asyncProperty(text, async (each) => {
        const isRead = await read(each).then(
          () => true,
          () => false,
        );
        expect([each, isRead]).toEqual([each, parses(each)]);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    '',
    '[]',
    'null',
    '{',
    '{"a":01}',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":"\n"}',
    '{"a":"\\u12x4"}',
    '{"a":1}x',
    '\ufeff{}',
  ])('are not found in %j', async (text) => {
    await expect(read(text)).rejects.toThrow('no JSON that can be read');
  });

  it('are not found in other bytes, nor below too many others', async () => {
    await expect(read(Buffer.from('{"a":"\xff"}', 'latin1'))).rejects.toThrow('not UTF-8');
    const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(await read(nested(255))).toHaveProperty('a');
    await expect(read(nested(256))).rejects.toThrow('deeper than 256');
  });
});
