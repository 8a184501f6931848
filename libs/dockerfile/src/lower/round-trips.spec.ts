import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { propertyRuns } from '#testing';
import { formatGoDuration } from '../go-duration.ts';
import { created, lower, ops, path } from './lowered.fixture.ts';

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.]{0,6}$/).filter((each) => each !== 'PATH');
/** What a line can hold, and a file in UTF-8. */
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((each) => !/[\r\n\0]/.test(each));
const quoted = (value: string): string => `"${value.replace(/["$\\]/g, '\\$&')}"`;
const pairs = fc.uniqueArray(fc.tuple(name, text), { selector: ([key]) => key, minLength: 1, maxLength: 5 });

describe('what is written comes out', () => {
  test('of ENV and LABEL, in one instruction or in many', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, fc.boolean(), async (all, together) => {
        const words = all.map(([key, value]) => `${key}=${quoted(value)}`);
        const lines = (keyword: string): string =>
          together ? `${keyword} ${words.join(' \\\n  ')}` : words.map((word) => `${keyword} ${word}`).join('\n');
        const { config } = await lower(`FROM scratch\n${lines('ENV')}\n${lines('LABEL')}`);
        expect(config.Env).toEqual([path, ...all.map(([key, value]) => `${key}=${value}`)]);
        expect(config.Labels).toEqual(Object.fromEntries(all));
      }),
      propertyRuns(200),
    );
  });

  test('of an ARG, by default and from the build', async () => {
    await fc.assert(
      fc.asyncProperty(name, text, text, async (key, value, other) => {
        const file = `FROM scratch\nARG ${key}=${quoted(value)}\nRUN x`;
        const environment = async (buildArgs: Readonly<Record<string, string>>): Promise<unknown> =>
          ops(await lower(file, { buildArgs })).at(-1);
        expect(await environment({})).toMatchObject({ env: [path, `${key}=${value}`] });
        expect(await environment({ [key]: other })).toMatchObject({ env: [path, `${key}=${other}`] });
      }),
      propertyRuns(200),
    );
  });

  test('of a command in JSON', async () => {
    const args = fc.array(fc.string({ unit: 'grapheme', maxLength: 8 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(args, async (words) => {
        const json = JSON.stringify(words);
        const lowered = await lower(`FROM scratch\nCMD ${json}\nENTRYPOINT ${json}\nSHELL ${json}\nRUN ${json}`);
        expect(lowered.config).toMatchObject({ Cmd: words, Entrypoint: words, Shell: words });
        expect(ops(lowered).at(-1)).toMatchObject({ args: words });
      }),
      propertyRuns(200),
    );
  });

  test('of a HEALTHCHECK, which never waits for less than a millisecond', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1e6, max: 9e15 }), fc.nat(2 ** 31 - 1), async (ns, retries) => {
        const flags = `--interval=${formatGoDuration(ns)} --retries=${retries}`;
        const { config } = await lower(`FROM scratch\nHEALTHCHECK ${flags} CMD x`);
        expect(config.Healthcheck).toEqual({
          Test: ['CMD-SHELL', 'x'],
          Interval: ns,
          ...(retries === 0 ? {} : { Retries: retries }),
        });
      }),
      propertyRuns(200),
    );
  });

  test('of EXPOSE: every port of a range', async () => {
    const range = fc.tuple(fc.nat(65_000), fc.nat(20), fc.constantFrom('', '/tcp', '/udp', '/sctp'));
    await fc.assert(
      fc.asyncProperty(range, async ([from, more, protocol]) => {
        const { config } = await lower(`FROM scratch\nEXPOSE ${from}-${from + more}${protocol}`);
        const ports = Array.from({ length: more + 1 }, (_, index) => `${from + index}${protocol || '/tcp'}`);
        expect(Object.keys(config.ExposedPorts ?? {})).toEqual(ports);
      }),
      propertyRuns(100),
    );
  });
});

describe('what multiplies is refused by name', () => {
  const long = `FROM scratch AS a\nENV a=${'x'.repeat(60_000)}\n`;
  const many = (each: (index: number) => string, count: number): string =>
    Array.from({ length: count }, (_, index) => each(index)).join('');

  test.each([
    ['long values in labels', `${long}LABEL ${'b=$a '.repeat(3000)}`],
    ['patterns on long values', `${long}${'LABEL b=${a//xxxxxxxxxxxxxxxx/}\n'.repeat(200)}`],
    ['long environments of many steps', `${long}${'RUN x\n'.repeat(1900)}`],
    [
      'many variables of many steps',
      `FROM scratch\nENV ${many((i) => `a${i}=1 \\\n`, 20_000)}b=1\n${'RUN x\n'.repeat(900)}`,
    ],
    [
      'many labels of many stages',
      `FROM scratch AS a0\nLABEL ${many((i) => `a${i}=1 \\\n`, 20_000)}b=1\n${many((i) => `FROM a${i} AS a${i + 1}\n`, 900)}`,
    ],
  ])(
    '%s',
    async (_, file) => {
      await expect(lower(file)).rejects.toMatchObject({
        code: 'DOCKERFILE_INVALID',
        message: expect.stringContaining('more than 100000000 steps') as string,
        line: expect.any(Number) as number,
      });
    },
    60_000,
  );

  test('triggers of many stages', async () => {
    const stages = many((i) => `FROM on AS b${i}\n`, 50);
    const copies = many((i) => `COPY --from=b${i} /x /\n`, 50);
    const triggers = 'ONBUILD RUN x\n'.repeat(100);
    await expect(lower(`FROM scratch AS on\n${triggers}${stages}FROM scratch\n${copies}`)).rejects.toMatchObject({
      code: 'DOCKERFILE_UNSUPPORTED',
      line: expect.any(Number) as number,
    });
  });

  test('what a long file needs is far below', async () => {
    const variables = many((i) => `ENV NAME_${i}=${'v'.repeat(40)}\n`, 100);
    const lowered = await lower(`FROM scratch\n${variables}${'RUN make $NAME_1\n'.repeat(1800)}`);
    expect(created(lowered)).toHaveLength(1900);
  }, 60_000);
});
