import { KilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { excerptOf, failureOf } from './failure.ts';
import { StepExit } from './run-exec.ts';

describe('excerptOf', () => {
  const text = 'one\ntwo\r\nthree\nfour\nfive\nsix\n';
  it.each([
    [1, 1, ['one', 'two', 'three']],
    [4, 2, ['two', 'three', 'four', 'five', 'six']],
    [6, 4, ['four', 'five', 'six']],
  ])('of line %i', (line, firstLine, lines) => {
    expect(excerptOf('Dockerfile', text, { line })).toEqual({ file: 'Dockerfile', line, firstLine, lines });
  });

  it.each([0, 7, -1])('is none of line %i', (line) => {
    expect(excerptOf('Dockerfile', text, { line })).toBeUndefined();
  });
});

it('marks an instruction of several lines, up to a bound', () => {
  const text = `FROM a\nRUN b \\\n c\n${'x\n'.repeat(40)}`;
  expect(excerptOf('D', text, { line: 2, endLine: 3, neighbours: 0 })).toEqual({
    ...{ file: 'D', line: 2, endLine: 3, firstLine: 2 },
    lines: ['RUN b \\', ' c'],
  });
  expect(excerptOf('D', text, { line: 2, endLine: 40 })?.lines).toHaveLength(15);
});

describe('failureOf', () => {
  const file = { name: 'Dockerfile', text: 'FROM a\nRUN b\n' };

  it('says what and where, with the hint', () => {
    const error = new KilnError('DOCKERFILE_INVALID', 'wrong', { hint: 'mend it', line: 2 });
    expect(failureOf(error, file, [])).toEqual({
      code: 'DOCKERFILE_INVALID',
      message: 'wrong',
      hint: 'mend it',
      excerpt: { file: 'Dockerfile', line: 2, firstLine: 1, lines: ['FROM a', 'RUN b'] },
    });
  });

  it('names a dash that was meant as a hyphen before all else', () => {
    const error = new KilnError('SOURCE_NOT_FOUND', '"/–from=b": not found', { hint: 'paths are relative', line: 2 });
    const failure = failureOf(error, { name: 'Dockerfile', text: 'FROM a\nCOPY –from=b /x /y/\n' }, []);
    expect(failure.hint).toContain('write --from');
  });

  it.each([
    [127, 'install it in this stage'],
    [126, 'execute permission'],
  ])('says what the exit code %i means', (code, says) => {
    expect(failureOf(new StepExit(code, 'x'), file, []).hint).toContain(says);
  });

  it('says that a disk is full, however deep that is', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    for (const error of [full, new KilnError('SANDBOX_FAILED', 'no bundle', { cause: full })]) {
      expect(failureOf(error, undefined, [])).toMatchObject({
        code: 'DISK_FULL',
        hint: expect.stringContaining('make room') as string,
      });
    }
  });

  it('takes anything else as the farm’s fault', () => {
    expect(failureOf(new TypeError('x is not a function'), undefined, ['last line'])).toEqual({
      code: 'INTERNAL',
      message: 'an error of the farm: x is not a function',
      tail: ['last line'],
    });
  });
});
