import { describe, expect, test } from 'vitest';
import { FakeRegistry, plainOptions } from '../lower/lowered.fixture.ts';
import { instructionAt } from './instruction-at.ts';
import { listTargets } from './list-targets.ts';
import { outlineDockerfile } from './outline.ts';

const outline = (text: string, options = {}) =>
  outlineDockerfile(text, { ...plainOptions, ...options }, new FakeRegistry());

describe('outline', () => {
  const text = `
ARG inherited=box
ARG inherited2=box2
ARG unused=abc\${inherited2}
# sfx is a suffix
ARG sfx="usy\${inherited}"

FROM b\${sfx} AS first
# this is not assigned to anything
ARG FOO=123
# BAR is a number
ARG BAR=456
RUN true

FROM alpine\${unused} AS second
ARG BAZ
RUN true

FROM scratch AS third
ARG ABC=a
# check=skip=all
ARG password
# alternate_password will show up in the outline
# check=skip=all
ARG alternate_password

# target defines build target
FROM third AS target
COPY --from=first /etc/passwd /

FROM second
`;

  test('tells the arguments that a target uses, and no others', async () => {
    const { name, description, args } = await outline(text, { target: 'target', buildArgs: { BAR: '678' } });
    expect([name, description]).toEqual(['target', 'defines build target']);
    expect(args.map((arg) => [arg.line, arg.name, arg.value, arg.description])).toEqual([
      [2, 'inherited', 'box', undefined],
      [6, 'sfx', 'usybox', 'is a suffix'],
      [10, 'FOO', '123', undefined],
      [12, 'BAR', '678', 'is a number'],
      [20, 'ABC', 'a', undefined],
      [22, 'password', undefined, undefined],
      [25, 'alternate_password', undefined, 'will show up in the outline'],
    ]);
  });

  test('an argument that is made of itself brings along what it was made of', async () => {
    const recursive =
      'ARG FOO=123\nARG ABC=abc\nARG DEF=def\nARG FOO=${FOO}${ABC}\nARG BAR=${FOO}456\nARG FOO=${FOO}456${BAR}\nFROM scratch\nARG FOO';
    const { args } = await outline(recursive);
    expect(args.map((arg) => [arg.name, arg.value])).toEqual([
      ['ABC', 'abc'],
      ['BAR', '123abc456'],
      ['FOO', '123abc456123abc456'],
    ]);
  });

  test('needs no base image', async () => {
    const { args, name } = await outline('FROM missing:1\nARG A=1');
    expect([name, args.length]).toEqual([undefined, 1]);
  });

  test('fails for what does not build', async () => {
    await expect(outline('FROM a\nCOPY --from=9 a b')).rejects.toMatchObject({ line: 2 });
  });
});

test('targets', () => {
  const text =
    '# build makes it\nFROM golang AS build\nFROM --platform=$BUILDPLATFORM alpine\n# tail\nFROM build AS Last';
  expect(listTargets(text)).toEqual([
    {
      name: 'build',
      description: 'makes it',
      default: false,
      base: 'golang',
      platform: undefined,
      line: 2,
      endLine: 2,
    },
    {
      name: undefined,
      description: undefined,
      default: false,
      base: 'alpine',
      platform: '$BUILDPLATFORM',
      line: 3,
      endLine: 3,
    },
    { name: 'last', description: undefined, default: true, base: 'build', platform: undefined, line: 5, endLine: 5 },
  ]);
});

test('the instruction at a line', () => {
  const text = 'FROM a\nRUN b \\\n c\nRUN <<E\nd\nE\n';
  expect([1, 3, 5, 7].map((line) => instructionAt(text, line)?.line)).toEqual([1, 2, 4, undefined]);
});
