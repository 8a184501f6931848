import { describe, expect, test } from 'vitest';
import type { NamedContext } from './lower-options.ts';
import { created, lower, ops, path, warnings } from './lowered.fixture.ts';

const declared = 'FROM scratch\nARG SOURCE_DATE_EPOCH\nRUN x';
const given = (value: string): { readonly buildArgs: Readonly<Record<string, string>> } => ({
  buildArgs: { SOURCE_DATE_EPOCH: value },
});

describe('SOURCE_DATE_EPOCH', () => {
  test('is the time of the image, and in plain decimal what steps see', async () => {
    const lowered = await lower(declared, given('+0042'));
    expect(lowered.epochSeconds).toBe(42);
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path, 'SOURCE_DATE_EPOCH=42'] });
  });

  test('need not be declared', async () => {
    const lowered = await lower('FROM scratch\nRUN x', given('42'));
    expect(lowered.epochSeconds).toBe(42);
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path] });
    expect(warnings(lowered)).toEqual([]);
  });

  test('may be the default of a global ARG; that of a stage is of the stage alone', async () => {
    expect((await lower('ARG SOURCE_DATE_EPOCH=7\nFROM scratch')).epochSeconds).toBe(7);
    expect((await lower('FROM scratch\nARG SOURCE_DATE_EPOCH=7')).epochSeconds).toBeUndefined();
  });

  test('when empty is not given', async () => {
    const lowered = await lower(declared, given(''));
    expect(lowered.epochSeconds).toBeUndefined();
    expect(created(lowered)).toContain('e ARG SOURCE_DATE_EPOCH');
  });

  test.each([
    ['soon', 'DOCKERFILE_INVALID', 'invalid SOURCE_DATE_EPOCH: soon'],
    ['1e9', 'DOCKERFILE_INVALID', 'invalid SOURCE_DATE_EPOCH: 1e9'],
    ['999999999999', 'DOCKERFILE_INVALID', 'invalid SOURCE_DATE_EPOCH: 999999999999'],
    ['nothing', 'DOCKERFILE_INVALID', 'invalid SOURCE_DATE_EPOCH: nothing'],
  ])('%s is refused', async (value, code, message) => {
    await expect(lower(declared, given(value))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    await expect(lower(`\nARG SOURCE_DATE_EPOCH=${value}\nFROM scratch`)).rejects.toMatchObject({ code, line: 2 });
  });
});

describe('SOURCE_DATE_EPOCH of a source', () => {
  const after = 'FROM scratch\nARG SOURCE_DATE_EPOCH\nRUN x';

  test.each([
    ['context', '', 100],
    ['src', 'FROM scratch AS src\nARG V=1\nADD https://host/$V.git#v$V /\n', 200],
    ['SRC', 'FROM scratch AS Src\nADD https://host/timed /\n', 300],
  ])('%s', async (value, stages, seconds) => {
    const lowered = await lower(`${stages}${after}`, given(value));
    expect(lowered.epochSeconds).toBe(seconds);
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path, `SOURCE_DATE_EPOCH=${seconds}`] });
    expect((await lower(`ARG SOURCE_DATE_EPOCH=${value}\n${stages}${after}`)).epochSeconds).toBe(seconds);
  });

  test('that has no time is none', async () => {
    const lowered = await lower(`FROM scratch AS src\nADD https://host/other /\n${after}`, given('src'));
    expect(lowered.epochSeconds).toBeUndefined();
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path] });
  });

  test('may be a named context', async () => {
    const of = async (context: NamedContext): Promise<number | undefined> =>
      (await lower(after, { ...given('named'), contexts: { named: context } })).epochSeconds;
    expect(await of({ type: 'git', url: 'git@host:x.git' })).toBe(200);
    expect(await of({ type: 'http', url: 'https://host/timed' })).toBe(300);
    expect(await of({ type: 'local' })).toBeUndefined();
    expect(await of({ type: 'image', reference: 'alpine' })).toBeUndefined();
  });

  test.each([
    ['FROM alpine AS src\nADD https://host/x /', 'must use FROM scratch'],
    ['FROM scratch AS src', 'exactly one remote ADD'],
    ['FROM scratch AS src\nADD https://host/x /\nADD https://host/y /', 'exactly one remote ADD'],
    ['FROM scratch AS src\nADD https://host/x https://host/y /', 'exactly one remote ADD source'],
    ['FROM scratch AS src\nADD file /', 'must be a single HTTP(S) or Git ADD'],
    ['FROM scratch AS src\nCOPY file /', 'unsupported COPY instruction'],
  ])('%s is refused', async (stage, message) => {
    await expect(lower(`${stage}\n${after}`, given('src'))).rejects.toMatchObject({
      code: 'DOCKERFILE_INVALID',
      line: 1,
      message: expect.stringContaining(message) as string,
    });
  });
});

test('the switches of the scanner are in no environment', async () => {
  const lowered = await lower('FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x');
  expect(ops(lowered).at(-1)).toMatchObject({ env: [path] });
  expect(created(lowered)).toContain('e ARG BUILDKIT_SBOM_SCAN_STAGE=true');
});
