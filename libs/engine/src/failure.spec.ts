import { KilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { excerptOf, failureOf } from './failure.ts';

describe('excerptOf', () => {
  const text = 'one\ntwo\r\nthree\nfour\nfive\nsix\n';
  it.each([
    [1, 1, ['one', 'two', 'three']],
    [4, 2, ['two', 'three', 'four', 'five', 'six']],
    [6, 4, ['four', 'five', 'six']],
  ])('of line %i', (line, firstLine, lines) => {
    expect(excerptOf('Dockerfile', text, line)).toEqual({ file: 'Dockerfile', line, firstLine, lines });
  });

  it.each([0, 7, -1])('is none of line %i', (line) => {
    expect(excerptOf('Dockerfile', text, line)).toBeUndefined();
  });
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
