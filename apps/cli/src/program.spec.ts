import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeFailure } from './fail.ts';
import { createProgram, plainSwitches, runProgram } from './program.ts';

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

  it.each([
    ['build --platfrom x .', 'unknown flag --platfrom; did you mean --platform?\n'],
    ['build --zzz .', 'unknown flag --zzz\nsee kiln build --help\n'],
    ['build', 'missing: path\nname the directory to build, as in kiln build . – or see kiln build --help\n'],
    ['build . ..', 'build takes 1, not 2 arguments\nsee kiln build --help\n'],
    ['build -t', 'flag -t, --tag <name> needs a value\nsee kiln build --help\n'],
    ['logs', 'missing: build\nkiln builds lists them; see kiln logs --help\n'],
    ['buildx .', 'unknown command buildx; did you mean build or builds?\n'],
    ['images', 'unknown command images\nsee kiln --help\n'],
    ['build --cpuset-cpus 1 .', '--cpuset-cpus is not supported yet\n--cpus limits the processors of RUN steps\n'],
    ['build --rm --force-rm=true --squash=true .', /^--squash is not supported yet\n/],
  ])('kiln %s', async (line, text) => {
    const thrown = await runProgram(line.split(' ')).then(
      () => undefined,
      (reason: unknown) => describeFailure(reason),
    );
    expect(thrown?.code).toBe(2);
    if (typeof text === 'string') expect(thrown?.text).toBe(text);
    else expect(thrown?.text).toMatch(text);
  });

  it('hides what it refuses', () => {
    const help =
      createProgram()
        .commands.find((each) => each.name() === 'build')
        ?.helpInformation() ?? '';
    expect(help).toContain('--secret');
    expect(help).not.toMatch(/--squash|--rm\b|--debug/);
  });
});
