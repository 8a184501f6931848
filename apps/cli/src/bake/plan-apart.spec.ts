import { describe, expect, it } from 'vitest';
import { planApart } from './plan-apart.ts';

const input = (text: string) => ({
  files: [{ name: 'docker-bake.hcl', text }],
  ...{ variables: {}, environment: {}, dotEnv: undefined, builtins: {}, nowMs: 0, homeDir: '/', cwd: '/nowhere' },
  ...{ targets: [], overrides: [], list: undefined },
});
const limits = { timeMs: 3_000, memoryMib: 64 };
const failing = async (text: string): Promise<unknown> => {
  try {
    return await planApart(input(text), undefined, limits);
  } catch (thrown) {
    return thrown;
  }
};

describe('bake files, worked out in a thread of their own', () => {
  it('come to a plan, and to what is wrong with its place', async () => {
    const planned = await planApart(input('target "default" { tags = ["a:1"] }'));
    expect(planned.targets).toMatchObject([{ name: 'default', target: { tags: ['a:1'] } }]);
    expect(planned.text).toContain('"a:1"');
    expect(await failing('target "default" {\n  tags = x\n}')).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'docker-bake.hcl:2:10: there is no variable x',
      line: 2,
    });
  });

  it.each([
    [
      'a pattern that goes back and forth',
      'x = regex("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")',
      /:1:5: the bake file asks for too much: the pattern .* takes more than a second/,
    ],
    [
      'lists that double',
      ['a0 = [0]', ...Array.from({ length: 40 }, (_, n) => `a${n + 1} = concat(a${n}, a${n})`)].join('\n'),
      /need more than|asks for too much/,
    ],
    [
      'strings that double',
      ['s0 = "xxxxxxxx"', ...Array.from({ length: 40 }, (_, n) => `s${n + 1} = upper("\${s${n}}\${s${n}}")`)].join(
        '\n',
      ),
      /need more than|asks for too much/,
    ],
    ['parentheses without end', `x = ${'('.repeat(100_000)}1`, /nested/],
    ['operators without end', `x = ${'!'.repeat(200_000)}true`, /nested/],
    ['names without end', `x = a${'.b'.repeat(200_000)}`, /nested|there is no variable a/],
  ])('that make %s are ended, and say so', async (_, text, message) => {
    expect(await failing(`${text}\ntarget "default" {}`)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as unknown,
    });
  });
});
