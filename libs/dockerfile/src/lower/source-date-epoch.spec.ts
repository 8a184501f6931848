import { describe, expect, test } from 'vitest';
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
    ['context', 'DOCKERFILE_UNSUPPORTED', 'the time of a source, is not supported'],
  ])('%s is refused', async (value, code, message) => {
    await expect(lower(declared, given(value))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    await expect(lower(`\nARG SOURCE_DATE_EPOCH=${value}\nFROM scratch`)).rejects.toMatchObject({ code, line: 2 });
  });
});

test('the switches of the scanner are in no environment', async () => {
  const lowered = await lower('FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x');
  expect(ops(lowered).at(-1)).toMatchObject({ env: [path] });
  expect(created(lowered)).toContain('e ARG BUILDKIT_SBOM_SCAN_STAGE=true');
});
