import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createProgram, plainSwitches } from './program.ts';

describe('the command line', () => {
  it('knows its version', () => {
    const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
    expect(createProgram().version()).toBe(`kiln ${version}`);
  });

  it('takes switches as docker does', () => {
    expect(plainSwitches(['build', '--push=true', '--no-cache=0', '-t', 'x', '--', '--push=true'])).toEqual([
      'build',
      '--push',
      '-t',
      'x',
      '--',
      '--push=true',
    ]);
    expect(() => plainSwitches(['--pull=maybe'])).toThrow('--pull is true or false');
  });
});
