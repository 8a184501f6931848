import { describe, expect, it } from 'vitest';
import type { BuildFailure } from '#protocol';
import { tellEnd } from './run.ts';

function ended(failure: BuildFailure): readonly [number, string] {
  let told = '';
  const code = tellEnd({ type: 'failed', atMs: 0, failure }, (text) => (told += text));
  return [code, told];
}

describe('the exit code of kiln run', () => {
  it('is the process’s own, of which nothing more is told', () => {
    expect(ended({ code: 'STEP_FAILED', message: 'RUN x: exit code 1', exitCode: 1 })).toEqual([1, '']);
    expect(ended({ code: 'STEP_FAILED', message: 'RUN x: exit code 137', exitCode: 137 })).toEqual([137, '']);
  });

  it('is docker’s 125 where nothing ran to an end, and Kiln’s for wrong use and refusals', () => {
    const failure = { code: 'IMAGE_NOT_FOUND', message: 'no such image', hint: 'push it' };
    expect(ended(failure)).toEqual([125, 'kiln: no such image\npush it\n']);
    expect(ended({ code: 'INVALID_ARGUMENT', message: 'nothing to run' })[0]).toBe(2);
    expect(ended({ code: 'PERMISSION_DENIED', message: 'no' })[0]).toBe(3);
    expect(tellEnd({ type: 'cancelled', atMs: 0, reason: 'x' }, () => undefined)).toBe(125);
    expect(tellEnd({ type: 'succeeded', atMs: 0, result: result() }, () => undefined)).toBe(0);
  });
});

const result = () => ({
  ...{ names: [], outputs: [], durationMs: 1, savedMs: 0 },
  steps: { total: 0, hit: 0, run: 0, joined: 0 },
  bytes: { contextSent: 0, pulled: 0, pushed: 0 },
});
